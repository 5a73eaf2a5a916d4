// What the command line of `holdall-edit serve` asked for, validated once.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace holdall::runtime::service {

// Deadlines are totals, not idle times: a client that sends one byte a second meets them like one that sends nothing.
struct HttpLimits {
  std::uint64_t max_body_bytes = 64ull << 20;
  std::uint32_t max_header_bytes = 32u << 10;
  std::size_t max_connections = 16'384;
  std::chrono::seconds idle_timeout{75};  // between requests, and before the first byte of the first
  std::chrono::seconds header_timeout{10};
  std::chrono::seconds body_timeout{60};
  std::chrono::seconds write_timeout{60};
};

struct Options {
  std::filesystem::path model;
  std::filesystem::path state;   // folder for what outlives the process; empty: none
  std::filesystem::path worker;  // the worker program
  std::filesystem::path config;  // settings.h; empty: the defaults
  std::filesystem::path keys;    // access/keys.h; empty: no keys are asked for, and loopback only is served
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080, health_port = 0;  // 0: any free port
  std::string device = "auto", dtype;          // empty: the worker's default
  std::string golden;                          // JSON that replaces the model's own golden edits; empty: nothing does
  std::optional<std::size_t> queue_limit;      // instead of the settings'
};

}  // namespace holdall::runtime::service
