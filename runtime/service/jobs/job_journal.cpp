#include "runtime/service/jobs/job_journal.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/error.h"
#include "runtime/files/files.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::int64_t kTombstoneSeconds = 7 * 86'400;  // how long a dropped job is told from one that never was
constexpr std::chrono::minutes kStrayAge{10};           // of files that no job has: one may be about to be accepted

// The columns of a record, in the order of `record_of`. Those of unfinished jobs have no owner while nobody has them.
#define COLUMNS "id, key, status, created, started, finished, deadline, attempts, epoch, error, operation"
constexpr std::size_t kEvents = 11, kDropped = 12;

constexpr const char* kSchema[] = {
    "PRAGMA synchronous = FULL",  // of this connection: an accepted job outlives a power cut
    "CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT NOT "
    "NULL, "
    "owner TEXT, status TEXT NOT NULL, created INTEGER NOT NULL, started INTEGER, finished INTEGER, deadline REAL, "
    "attempts INTEGER NOT NULL, epoch INTEGER NOT NULL, error TEXT, events TEXT, bytes INTEGER NOT NULL DEFAULT 0, "
    "operation TEXT NOT NULL, cancel INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0)",
    "CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (owner) WHERE finished IS NULL",
    "CREATE INDEX IF NOT EXISTS jobs_finished ON jobs (finished)",
    "CREATE INDEX IF NOT EXISTS jobs_of_key ON jobs (key, number)",
};

template <class T>
std::optional<T> optional_of(const Database::Value& value) {
  const auto* found = std::get_if<T>(&value);
  return found ? std::optional(*found) : std::nullopt;
}

template <class T>
Database::Value value_of(const std::optional<T>& value) {
  return value ? Database::Value(*value) : Database::Value(nullptr);
}

std::string text_of(const Database::Value& value) {
  return optional_of<std::string>(value).value_or("");
}
std::int64_t whole_of(const Database::Value& value) {
  return optional_of<std::int64_t>(value).value_or(0);
}

JobRecord record_of(const Database::Row& row) {
  JobRecord job;
  job.id = text_of(row[0]);
  job.caller = text_of(row[1]);
  job.status = job_status_named(text_of(row[2])).value_or(JobStatus::kFailed);
  job.created = whole_of(row[3]);
  job.started = optional_of<std::int64_t>(row[4]);
  job.finished = optional_of<std::int64_t>(row[5]);
  job.deadline = optional_of<double>(row[6]);
  job.attempts = static_cast<int>(whole_of(row[7]));
  job.epoch = static_cast<std::uint32_t>(whole_of(row[8]));
  job.error = text_of(row[9]);
  job.operation = text_of(row[10]);
  return job;
}

std::string events_text(const std::vector<JobEvent>& events) {
  json list = json::array();
  for (const JobEvent& event : events) list.push_back({event.id.text(), event.name, event.data});
  return list.dump();
}

std::vector<JobEvent> read_events(const std::string& text) {
  std::vector<JobEvent> events;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return events;
  for (const json& event : list)
    events.push_back({EventId::parse(event.at(0).get<std::string>()).value_or(EventId{}), event.at(1), event.at(2)});
  return events;
}

fs::path made(fs::path folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) files::failed("make", folder, error.value());
  fs::permissions(folder, fs::perms::owner_all, error);
  return folder;
}

void remove_file(const fs::path& file) {
  std::error_code ignored;
  fs::remove(file, ignored);
}

}  // namespace

JobJournal::JobJournal(const fs::path& state)
    : folder_(made(state / "jobs")), instance_(state / "instances"), database_(state / "holdall.sqlite") {
  for (const char* statement : kSchema) database_.run(statement);
  remove_strays();
}

// What a crash left between a file and its row, or a row and its files.
void JobJournal::remove_strays() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const auto found = find(entry.path().stem().string());
    const bool old = entry.last_write_time(error) < fs::file_time_type::clock::now() - kStrayAge;
    if (!found ? old && !error : found->dropped) remove_file(entry.path());
  }
}

void JobJournal::accept(const JobRecord& job, const EditForm& form) {
  write_form(form_file(job.id), form);
  try {
    database_.run(
        "INSERT INTO jobs (id, key, owner, status, created, deadline, attempts, epoch, operation) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        {job.id, job.caller, instance_.name(), std::string(name_of(job.status)), job.created, value_of(job.deadline),
         std::int64_t{job.attempts}, std::int64_t{job.epoch}, job.operation});
  } catch (const Error&) {
    remove_file(form_file(job.id));
    throw;
  }
}

void JobJournal::set_started(const JobRecord& job) {
  database_.run(
      "UPDATE jobs SET status = 'running', started = coalesce(started, ?3), attempts = ?4 "
      "WHERE id = ?1 AND owner = ?2 AND finished IS NULL",
      {job.id, instance_.name(), value_of(job.started), std::int64_t{job.attempts}});
}

bool JobJournal::finish(const JobRecord& job, const EditResult* result) {
  std::int64_t bytes = 0;
  if (result) {
    write_result(result_file(job.id), *result, Durability::kPowerCut);
    for (const auto& picture : result->pictures) bytes += static_cast<std::int64_t>(picture.bytes.size());
  }
  database_.run(
      "UPDATE jobs SET owner = NULL, status = ?3, finished = ?4, error = ?5, events = ?6, bytes = ?7 "
      "WHERE id = ?1 AND owner = ?2 AND finished IS NULL",
      {job.id, instance_.name(), std::string(name_of(job.status)), value_of(job.finished), job.error,
       events_text(job.events), bytes});
  if (database_.changed() == 0) return false;
  remove_file(form_file(job.id));
  return true;
}

void JobJournal::release(const std::string& id, int attempts) {
  database_.run(
      "UPDATE jobs SET owner = NULL, status = 'queued', attempts = ?3 "
      "WHERE id = ?1 AND owner = ?2 AND finished IS NULL",
      {id, instance_.name(), std::int64_t{attempts}});
}

std::vector<JobRecord> JobJournal::adopt() {
  std::vector<JobRecord> jobs;
  for (const auto& row : database_.run("SELECT DISTINCT owner FROM jobs WHERE finished IS NULL AND owner IS NOT ?1",
                                       {instance_.name()})) {
    if (const auto owner = optional_of<std::string>(row[0]); owner && instance_.alive(*owner)) continue;
    for (const auto& taken : database_.run("UPDATE jobs SET owner = ?1, status = 'queued', epoch = epoch + 1 "
                                           "WHERE finished IS NULL AND owner IS ?2 RETURNING " COLUMNS,
                                           {instance_.name(), row[0]}))
      jobs.push_back(record_of(taken));
  }
  return jobs;
}

EditForm JobJournal::form(const std::string& id) const {
  return read_form(form_file(id));
}

EditResult JobJournal::result(const std::string& id) const {
  return read_result(result_file(id));
}

std::optional<JobJournal::Found> JobJournal::find(const std::string& id) {
  const auto rows = database_.run("SELECT " COLUMNS ", events, dropped FROM jobs WHERE id = ?1", {id});
  if (rows.empty()) return std::nullopt;
  Found found{record_of(rows[0]), whole_of(rows[0][kDropped]) != 0};
  found.job.events = read_events(text_of(rows[0][kEvents]));
  return found;
}

std::vector<JobRecord> JobJournal::list(const Query& query) {
  const auto status = query.status ? std::optional(std::string(name_of(*query.status))) : std::nullopt;
  std::vector<JobRecord> jobs;
  for (const auto& row : database_.run(
           "SELECT " COLUMNS
           " FROM jobs WHERE dropped = 0 AND (?1 IS NULL OR key = ?1) AND (?2 IS NULL OR status = ?2) "
           "AND (?3 IS NULL OR number < (SELECT number FROM jobs WHERE id = ?3)) ORDER BY number DESC LIMIT ?4",
           {value_of(query.caller), value_of(status), value_of(query.after), static_cast<std::int64_t>(query.limit)}))
    jobs.push_back(record_of(row));
  return jobs;
}

void JobJournal::ask_to_cancel(const std::string& id) {
  database_.run("UPDATE jobs SET cancel = 1 WHERE id = ?1 AND finished IS NULL", {id});
}

std::vector<std::string> JobJournal::cancellations() {
  std::vector<std::string> ids;
  for (const auto& row :
       database_.run("SELECT id FROM jobs WHERE finished IS NULL AND owner = ?1 AND cancel = 1", {instance_.name()}))
    ids.push_back(text_of(row[0]));
  return ids;
}

void JobJournal::sweep(const JobLimits& limits, std::int64_t now) {
  for (const auto& row :
       database_.run("SELECT id FROM jobs WHERE dropped = 0 AND finished <= ?1", {now - limits.ttl.count()}))
    drop(text_of(row[0]));
  const auto sum = [&] { return whole_of(database_.run("SELECT sum(bytes) FROM jobs WHERE dropped = 0")[0][0]); };
  while (static_cast<std::uint64_t>(sum()) > limits.max_bytes) {
    const auto oldest = database_.run("SELECT id FROM jobs WHERE dropped = 0 AND bytes > 0 ORDER BY finished LIMIT 1");
    if (oldest.empty()) break;
    drop(text_of(oldest[0][0]));
  }
  database_.run("DELETE FROM jobs WHERE dropped = 1 AND finished <= ?1",
                {now - limits.ttl.count() - kTombstoneSeconds});
}

void JobJournal::drop(const std::string& id) {
  database_.run("UPDATE jobs SET dropped = 1, events = NULL, error = NULL, bytes = 0 WHERE id = ?1", {id});
  remove_file(result_file(id));
}

}  // namespace holdall::runtime::service
