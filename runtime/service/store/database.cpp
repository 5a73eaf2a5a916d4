#include "runtime/service/store/database.h"

#include <sqlite3.h>

#include <map>

#include "runtime/error.h"

namespace holdall::runtime::service {
namespace {

constexpr int kBusyMilliseconds = 5000;  // while another process writes

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

class Database::Impl {
 public:
  explicit Impl(const std::filesystem::path& file) : name_(file.empty() ? ":memory:" : file.string()) {
    try {
      check(sqlite3_open_v2(name_.c_str(), &connection_,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr));
      sqlite3_busy_timeout(connection_, kBusyMilliseconds);
      run("PRAGMA journal_mode = WAL", {});
      run("PRAGMA synchronous = NORMAL", {});  // a power cut may cost the last counts; waiting for the disk costs all
    } catch (const Error&) {
      close();
      throw;
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { close(); }

  std::vector<Row> run(const char* sql, const std::vector<Value>& parameters) {
    sqlite3_stmt* statement = prepared(sql);
    int index = 0;
    for (const Value& value : parameters) bind(statement, ++index, value);
    std::vector<Row> rows;
    while (sqlite3_step(statement) == SQLITE_ROW) rows.push_back(read_row(statement));
    const int failed = sqlite3_reset(statement);  // the error of the step, if there was one
    sqlite3_clear_bindings(statement);
    check(failed);
    return rows;
  }

  std::int64_t changed() const noexcept { return sqlite3_changes64(connection_); }

 private:
  void close() {
    statements_.clear();
    sqlite3_close(connection_);
  }

  void check(int result) const {
    if (result != SQLITE_OK)
      throw Error(ErrorKind::kStorage, "cannot use '" + name_ + "': " +
                                           (connection_ ? sqlite3_errmsg(connection_) : sqlite3_errstr(result)));
  }

  sqlite3_stmt* prepared(const char* sql) {
    auto& statement = statements_[sql];
    if (!statement) {
      sqlite3_stmt* fresh = nullptr;
      check(sqlite3_prepare_v3(connection_, sql, -1, SQLITE_PREPARE_PERSISTENT, &fresh, nullptr));
      statement.reset(fresh);
    }
    return statement.get();
  }

  void bind(sqlite3_stmt* statement, int index, const Value& value) const {
    if (const auto* whole = std::get_if<std::int64_t>(&value))
      check(sqlite3_bind_int64(statement, index, *whole));
    else if (const auto* real = std::get_if<double>(&value))
      check(sqlite3_bind_double(statement, index, *real));
    else if (const auto* text = std::get_if<std::string>(&value))  // outlives the statement's run
      check(sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8));
    else
      check(sqlite3_bind_null(statement, index));
  }

  static Row read_row(sqlite3_stmt* statement) {
    Row row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
          row.emplace_back(std::int64_t{sqlite3_column_int64(statement, i)});
          break;
        case SQLITE_FLOAT:
          row.emplace_back(sqlite3_column_double(statement, i));
          break;
        case SQLITE_NULL:
          row.emplace_back(nullptr);
          break;
        default: {
          const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));
          const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
          row.emplace_back(bytes ? std::string(bytes, size) : std::string());
        }
      }
    }
    return row;
  }

  const std::string name_;
  sqlite3* connection_ = nullptr;
  std::map<std::string_view, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;  // by literals
};

Database::Database(const std::filesystem::path& file) : impl_(std::make_unique<Impl>(file)) {}
Database::~Database() = default;
std::vector<Database::Row> Database::run(const char* sql, const std::vector<Value>& parameters) {
  return impl_->run(sql, parameters);
}
std::int64_t Database::changed() const noexcept {
  return impl_->changed();
}

}  // namespace holdall::runtime::service
