// LeaseStore: which identity had which address of a pool, in an SQLite file. What was stored outlives the end of the
// process, however it comes; the last records before a failure of power may be lost, and then the clients ask for
// their addresses by themselves.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/leases.hpp"

struct sqlite3;

namespace culvert::daemon {

class LeaseStore {
 public:
  /// Makes the folder and the file where they are missing, readable by their owner alone. The error is a sentence with
  /// the way out; so for the others.
  [[nodiscard]] static Result<LeaseStore, std::string> open(const std::filesystem::path& folder);

  /// All records. Rows that make no sense are left out.
  [[nodiscard]] Result<std::vector<control::LeaseRecord>, std::string> load();
  /// In one transaction: all of them or none.
  [[nodiscard]] Result<void, std::string> store(std::span<const control::LeaseRecord> records);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  LeaseStore(std::unique_ptr<sqlite3, Close> database, std::filesystem::path file)
      : database_(std::move(database)), file_(std::move(file)) {}
  [[nodiscard]] std::string fault(std::string_view what) const;
  [[nodiscard]] Result<void, std::string> run(const char* sql, std::string_view what);

  std::unique_ptr<sqlite3, Close> database_;
  std::filesystem::path file_;
};

}  // namespace culvert::daemon
