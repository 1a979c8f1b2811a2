# culvert_layer, culvert_executable, culvert_test, culvert_fuzzer: the only ways a target is made.

set(CULVERT_EMPTY_SOURCE "${CMAKE_BINARY_DIR}/generated/empty.cpp")
if(NOT EXISTS "${CULVERT_EMPTY_SOURCE}")
  file(WRITE "${CULVERT_EMPTY_SOURCE}" "// Stands in for a layer that has headers only.\n")
endif()

# culvert_layer(<name> [BOOST] [FLAT] [DIR <folder under src>] [DEPS <layers>...] [LIBS <third-party>...])
#
# All *.cpp of the folder become the static library culvert_<name>; all *_test.cpp become one GoogleTest binary <name>_test.
# main.cpp is left to culvert_executable. DEPS are layers and public, LIBS are private to the layer and its tests.
# FLAT: without the folders below, which are layers of their own.
# BOOST: the layer uses Boost.Asio/Beast, JSON and spdlog, precompiled.
function(culvert_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "BOOST;FLAT" "DIR" "DEPS;LIBS")
  set(pch std)
  set(test_kind)
  if(arg_BOOST)
    set(pch boost)
    set(test_kind BOOST)
    list(APPEND arg_LIBS culvert_boost)
  endif()
  if(NOT arg_DIR)
    set(arg_DIR "${name}")
  endif()
  set(dir "${CMAKE_SOURCE_DIR}/src/${arg_DIR}")
  if(arg_FLAT)
    file(GLOB all CONFIGURE_DEPENDS "${dir}/*.cpp")
  else()
    file(GLOB_RECURSE all CONFIGURE_DEPENDS "${dir}/*.cpp")
  endif()
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cpp$")
  if(NOT sources)
    set(sources "${CULVERT_EMPTY_SOURCE}")
  endif()
  list(TRANSFORM arg_DEPS PREPEND culvert_)

  add_library(culvert_${name} STATIC ${sources})
  target_link_libraries(culvert_${name} PUBLIC culvert_options fmt::fmt ${arg_DEPS} PRIVATE ${arg_LIBS})
  culvert_pch(culvert_${name} ${pch})

  if(tests AND CULVERT_TESTS)
    culvert_test(${name}_test ${test_kind} SOURCES ${tests} DEPS ${name} LIBS ${arg_LIBS} LABELS unit)
  endif()
endfunction()

# culvert_executable(<name> <layer> [SYSTEM] [LIBS <third-party>...]): src/<layer>/main.cpp, once it exists. SYSTEM: a daemon, installed
# into sbin.
function(culvert_executable name layer)
  cmake_parse_arguments(PARSE_ARGV 2 arg "SYSTEM" "" "LIBS")
  file(GLOB main CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${layer}/main.cpp")
  if(NOT main)
    return()
  endif()
  add_executable(${name} ${main})
  target_link_libraries(${name} PRIVATE culvert_${layer} culvert_boost ${arg_LIBS})
  culvert_pch(${name} boost)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  if(arg_SYSTEM)
    install(TARGETS ${name} RUNTIME DESTINATION sbin)
  else()
    install(TARGETS ${name} RUNTIME DESTINATION bin)
  endif()
endfunction()

# culvert_test(<name> [BOOST] SOURCES <files>... [DEPS <layers>...] [LIBS <third-party>...] [LABELS <label>...] [TIMEOUT <s>]
#              [ARGS <arguments of the binary>...])
#
# One GoogleTest binary, one ctest entry. It runs in the root of the checkout; case results go to test-results/<name>.xml.
function(culvert_test name)
  if(NOT CULVERT_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "BOOST" "TIMEOUT" "SOURCES;DEPS;LIBS;LABELS;ARGS")
  set(pch test)
  if(arg_BOOST)
    set(pch boost_test)
    list(APPEND arg_LIBS culvert_boost)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  list(TRANSFORM arg_DEPS PREPEND culvert_)
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE culvert_options ${arg_DEPS} ${arg_LIBS} nlohmann_json::nlohmann_json GTest::gtest_main GTest::gmock)
  culvert_pch(${name} ${pch})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  add_test(NAME ${name}
    COMMAND ${name} --gtest_brief=1 "--gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml" ${arg_ARGS}
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()

# culvert_test_again(<binary> <name> ENVIRONMENT <assignments>...): a further ctest entry, the same tests under other conditions.
function(culvert_test_again binary name)
  if(NOT TARGET ${binary})
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "ENVIRONMENT")
  add_test(NAME ${name}
    COMMAND ${binary} --gtest_brief=1 "--gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml"
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit ENVIRONMENT "${arg_ENVIRONMENT}")
endfunction()

# culvert_fuzzer(<name> SOURCES <files>... [DEPS <layers>...]): a libFuzzer target, built in the preset `fuzz` only.
#
# Its corpora are ${CULVERT_VECTORS}/fuzz-corpora/<name> and tests/fuzz/corpus/<name>; `./dev fuzz` runs all of them.
function(culvert_fuzzer name)
  if(NOT CULVERT_FUZZ)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  list(TRANSFORM arg_DEPS PREPEND culvert_)
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE culvert_options ${arg_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzzers")
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
endfunction()
