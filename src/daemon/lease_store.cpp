#include "daemon/lease_store.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/text.hpp"

namespace culvert::daemon {
namespace {

constexpr int kVersion = 1;
constexpr int kBusyMilliseconds = 2000;
constexpr std::size_t kIdentityLimit = 4096;

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS leases ("
    " address BLOB PRIMARY KEY, identity_type INTEGER NOT NULL, identity BLOB NOT NULL, use_order INTEGER NOT NULL,"
    " last_use INTEGER NOT NULL) WITHOUT ROWID";
constexpr const char* kInsert =
    "INSERT OR REPLACE INTO leases VALUES (?1, ?2, ?3, ?4, CAST(strftime('%s', 'now') AS INTEGER))";
constexpr const char* kSelect = "SELECT address, identity_type, identity, use_order FROM leases";

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Statement prepare(sqlite3* database, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  (void)sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
  return Statement(statement);
}

ByteView blob(sqlite3_stmt* row, int column) {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(row, column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(row, column))};
}

std::optional<control::LeaseRecord> record_of(sqlite3_stmt* row) {
  const auto address = net::IpAddress::from_bytes(blob(row, 0));
  const sqlite3_int64 type = sqlite3_column_int64(row, 1);
  const ByteView identity = blob(row, 2);
  const sqlite3_int64 order = sqlite3_column_int64(row, 3);
  if (!address || type < 0 || type > 0xff || identity.size() > kIdentityLimit || order <= 0) return std::nullopt;
  return control::LeaseRecord{.address = *address,
                              .identity = {static_cast<model::IdentificationType>(type), to_bytes(identity)},
                              .order = static_cast<std::uint64_t>(order)};
}

}  // namespace

void LeaseStore::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

Result<LeaseStore, std::string> LeaseStore::open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::filesystem::path file = folder / "leases.sqlite";
  // SQLite gives its journal the rights of this file.
  const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (made < 0) {
    return err(fmt::format("leases cannot be written to {}: {}; choose another folder with \"state\"", file.string(),
                           std::strerror(errno)));
  }
  ::close(made);
  sqlite3* opened = nullptr;
  const int result = sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  LeaseStore store(std::unique_ptr<sqlite3, Close>(opened), file);
  if (result != SQLITE_OK) return err(store.fault("cannot be opened"));
  sqlite3_busy_timeout(opened, kBusyMilliseconds);
  // With the write-ahead log a commit is no flush to the disk: it survives this process, whatever ends it.
  for (const char* sql : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA cache_size = -256"}) {
    if (auto done = store.run(sql, "cannot be opened"); !done) return err(std::move(done.error()));
  }
  const Statement version = prepare(opened, "PRAGMA user_version");
  if (!version || sqlite3_step(version.get()) != SQLITE_ROW) return err(store.fault("cannot be read"));
  const int found = sqlite3_column_int(version.get(), 0);
  if (found > kVersion) {
    return err(fmt::format("{} was written by a later version of culvertd ({}); move it away to begin anew",
                           file.string(), found));
  }
  if (auto done = store.run(kSchema, "cannot be written"); !done) return err(std::move(done.error()));
  if (auto done = store.run("PRAGMA user_version = 1", "cannot be written"); !done) return err(std::move(done.error()));
  return store;
}

Result<std::vector<control::LeaseRecord>, std::string> LeaseStore::load() {
  std::vector<control::LeaseRecord> records;
  const Statement select = prepare(database_.get(), kSelect);
  if (!select) return err(fault("cannot be read"));
  int step = 0;
  while ((step = sqlite3_step(select.get())) == SQLITE_ROW) {
    if (auto record = record_of(select.get())) records.push_back(std::move(*record));
  }
  if (step != SQLITE_DONE) return err(fault("cannot be read"));
  return records;
}

Result<void, std::string> LeaseStore::store(std::span<const control::LeaseRecord> records) {
  if (auto begun = run("BEGIN IMMEDIATE", "cannot be written"); !begun) return begun;
  const Statement insert = prepare(database_.get(), kInsert);
  bool whole = insert != nullptr;
  for (const control::LeaseRecord& record : records) {
    if (!whole) break;
    const ByteView address = record.address.bytes();
    sqlite3_stmt* statement = insert.get();
    // An empty identity is an empty blob, not NULL.
    const void* identity = record.identity.data.empty() ? static_cast<const void*>("") : record.identity.data.data();
    sqlite3_bind_blob(statement, 1, address.data(), static_cast<int>(address.size()), SQLITE_STATIC);
    sqlite3_bind_int(statement, 2, static_cast<int>(record.identity.type));
    sqlite3_bind_blob(statement, 3, identity, static_cast<int>(record.identity.data.size()), SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, static_cast<sqlite3_int64>(record.order));
    whole = sqlite3_step(statement) == SQLITE_DONE;
    whole = sqlite3_reset(statement) == SQLITE_OK && whole;
  }
  if (whole) return run("COMMIT", "cannot be written");
  std::string why = fault("cannot be written");
  (void)run("ROLLBACK", "");
  return err(std::move(why));
}

Result<void, std::string> LeaseStore::run(const char* sql, std::string_view what) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return err(fault(what));
}

std::string LeaseStore::fault(std::string_view what) const {
  return fmt::format("the leases in {} {}: {}; if it is damaged, move it away: clients may get other addresses then",
                     file_.string(), what, escaped(sqlite3_errmsg(database_.get()), 200));
}

}  // namespace culvert::daemon
