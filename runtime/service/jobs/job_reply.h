// What clients are told of a job: the object, lists of it, and the data of its events.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/jobs/job_record.h"

namespace holdall::runtime::service {

// A job as it is now. What is not known, since another process has it, is left out.
struct JobView {
  JobRecord job;
  std::optional<EditQueue::Place> place;   // while it waits
  std::optional<EditProgress> progress{};  // while it runs
};

// {"id":…,"object":"job",…}; `result`: of one that succeeded, or null to leave it out.
std::string job_json(const JobView& view, const EditResult* result);
// As OpenAI's lists are, without results.
std::string jobs_json(const std::vector<JobView>& views, bool has_more);

// The last event of a job that has ended.
std::string ending_of(const JobRecord& job);
// Its data. `result`: of one that succeeded, else null. As a stream's image_edit.completed; with several pictures, they
// are in "data".
std::string ending_json(const JobRecord& job, const EditResult* result);

}  // namespace holdall::runtime::service
