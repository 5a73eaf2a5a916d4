// SQLite: what the service remembers from one process to the next. One connection, used on one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace holdall::runtime::service {

class Database {
 public:
  using Value = std::variant<std::nullptr_t, std::int64_t, double, std::string>;  // text may hold any bytes
  using Row = std::vector<Value>;

  // Opens or makes `file`, in WAL mode so that the service that follows a swap can open it while the last one drains;
  // empty: in memory. Throws runtime::Error{kStorage}, naming the file, as every function here.
  explicit Database(const std::filesystem::path& file);
  ~Database();

  // Runs one statement with its parameters ?1, ?2, … and returns the rows. `sql` is a literal: statements are prepared
  // once.
  std::vector<Row> run(const char* sql, const std::vector<Value>& parameters = {});
  // The number of rows that the last statement changed.
  std::int64_t changed() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
