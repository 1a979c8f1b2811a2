# Language level, warnings, hardening, sanitizers and the compiler cache, the same for every target.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# -g1 keeps backtraces and line numbers at a fraction of the size and link time of -g.
# NDEBUG stays unset: CHECK and the library assertions are part of the product.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")

add_library(culvert_options INTERFACE)
target_include_directories(culvert_options INTERFACE
  "${CMAKE_SOURCE_DIR}/src" "${CMAKE_BINARY_DIR}/generated")

target_compile_options(culvert_options INTERFACE
  -fPIE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-qual -Wformat=2 -Wundef)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # RFC nouns shadow freely between a member function and a parameter; only local shadowing misleads.
  target_compile_options(culvert_options INTERFACE -Wshadow=local -Wno-missing-field-initializers)
else()
  # Deprecated: libstdc++ 12 itself uses what C++17 deprecated (std::stable_partition), and clang, unlike GCC, blames whoever
  # instantiates it. GCC watches for our own uses.
  target_compile_options(culvert_options INTERFACE -Wno-missing-field-initializers -Wno-missing-designated-field-initializers
    -Wno-deprecated-declarations)
endif()

if(CULVERT_WERROR)
  target_compile_options(culvert_options INTERFACE -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # These depend on the optimizer's view and raise false alarms inside libstdc++ 12 (std::variant, std::string); the sanitizers
    # look for the same faults without guessing.
    target_compile_options(culvert_options INTERFACE
      -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-dangling-pointer
      -Wno-free-nonheap-object -Wno-restrict)
  endif()
endif()

if(CULVERT_SANITIZE)
  target_compile_options(culvert_options INTERFACE
    -fsanitize=${CULVERT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(culvert_options INTERFACE -fsanitize=${CULVERT_SANITIZE})
  # That ThreadSanitizer does not understand fences is said of a library's headers; we have none.
  if(CULVERT_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(culvert_options INTERFACE -Wno-tsan)
  endif()
endif()

if(CULVERT_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "CULVERT_FUZZ needs clang: configure with the preset 'fuzz'")
  endif()
  target_compile_options(culvert_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(CULVERT_HARDEN)
  target_compile_definitions(culvert_options INTERFACE _GLIBCXX_ASSERTIONS)
  if(NOT CULVERT_SANITIZE)
    target_compile_options(culvert_options INTERFACE -fstack-protector-strong -fstack-clash-protection)
    target_compile_options(culvert_options INTERFACE
      $<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
    target_link_options(culvert_options INTERFACE -pie -Wl,-z,relro,-z,now)
  endif()
endif()

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  find_program(CULVERT_LLD NAMES ld.lld-19 ld.lld)
  if(CULVERT_LLD)
    target_link_options(culvert_options INTERFACE "--ld-path=${CULVERT_LLD}")
  endif()
else()
  find_program(CULVERT_MOLD mold)
  if(CULVERT_MOLD)
    target_link_options(culvert_options INTERFACE -fuse-ld=mold)
  endif()
endif()

# ccache. base_dir makes paths inside the checkout relative, so that all worktrees of one repository share the results.
find_program(CULVERT_CCACHE ccache)
if(CULVERT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    "${CULVERT_CCACHE}")
endif()
