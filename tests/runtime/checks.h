// What several of the runtime's tests need: refusals and files.
//
// EXPECT_REFUSAL(statement, kind, text…): the statement throws runtime::Error of that kind, and its message has every
// text.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>

#include "runtime/error.h"

namespace holdall::tests {

template <class Statement>
void expect_refusal(const Statement& statement, runtime::ErrorKind kind, std::initializer_list<const char*> texts) {
  try {
    statement();
    ADD_FAILURE() << "nothing was refused";
  } catch (const runtime::Error& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << error.what();
    for (const char* text : texts) EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

inline std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream.good()) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace holdall::tests

#define EXPECT_REFUSAL(statement, kind, ...) \
  ::holdall::tests::expect_refusal([&] { (void)(statement); }, ::holdall::runtime::ErrorKind::kind, {__VA_ARGS__})
