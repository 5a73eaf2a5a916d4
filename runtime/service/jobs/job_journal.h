// What is remembered of the jobs that were accepted: rows in SQLite, their forms and results in files beside it. A
// journal is shared by the processes of one state folder; each job has one owner among them, and what a dead one owned
// is anybody's. A job that has ended does not end again, whoever tries.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/service/edits/edit_archive.h"
#include "runtime/service/jobs/instance.h"
#include "runtime/service/jobs/job_record.h"
#include "runtime/service/store/database.h"

namespace holdall::runtime::service {

struct JobLimits {
  std::chrono::seconds ttl{3600};        // of what has ended
  std::uint64_t max_bytes = 4ull << 30;  // of the results that are kept; the oldest give way
  int max_attempts = 3;
};

class JobJournal {
 public:
  // Every function throws runtime::Error{kStorage}, and has changed nothing then.
  explicit JobJournal(const std::filesystem::path& state);

  // Ours, from now on and through crashes.
  void accept(const JobRecord& job, const EditForm& form);
  void set_started(const JobRecord& job);
  // With its status, error and events. `result`: of one that succeeded, else null. False: it had ended before.
  bool finish(const JobRecord& job, const EditResult* result);
  // Gives an unfinished one back, for whichever process adopts first. `attempts` are those that count.
  void release(const std::string& id, int attempts);
  // Makes the unfinished jobs of those who are gone ours, each with one epoch more.
  std::vector<JobRecord> adopt();

  EditForm form(const std::string& id) const;
  EditResult result(const std::string& id) const;

  struct Found {
    JobRecord job;
    bool dropped = false;  // it ended, and was kept for as long as jobs are
  };
  std::optional<Found> find(const std::string& id);

  struct Query {
    std::optional<std::string> caller;  // nullopt: anybody's
    std::optional<JobStatus> status;
    std::optional<std::string> after;  // an id: those before it, which were accepted earlier
    std::size_t limit = 20;
  };
  std::vector<JobRecord> list(const Query& query);  // the latest first; events are left out

  // For its owner to find in cancellations(): ids of unfinished jobs of ours.
  void ask_to_cancel(const std::string& id);
  std::vector<std::string> cancellations();

  // Drops what has been kept long enough, or is too much.
  void sweep(const JobLimits& limits, std::int64_t now);

 private:
  void drop(const std::string& id);
  void remove_strays();
  std::filesystem::path form_file(const std::string& id) const { return folder_ / (id + ".form"); }
  std::filesystem::path result_file(const std::string& id) const { return folder_ / (id + ".result"); }

  const std::filesystem::path folder_;
  Instance instance_;
  Database database_;
};

}  // namespace holdall::runtime::service
