#include "runtime/service/jobs/job_reply.h"

#include <nlohmann/json.hpp>

#include "runtime/service/edits/edit_reply.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json json_of(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json parsed(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json::parse(text, nullptr, false);
}

ordered_json object_of(const JobView& view) {
  const JobRecord& job = view.job;
  ordered_json object = {{"id", job.id},
                         {"object", "job"},
                         {"status", name_of(job.status)},
                         {"created", job.created},
                         {"started", json_of(job.started)},
                         {"finished", json_of(job.finished)},
                         {"queue_position", nullptr},
                         {"eta_seconds", nullptr},
                         {"step", nullptr},
                         {"total_steps", nullptr},
                         {"attempts", job.attempts}};
  if (view.place) {
    object["queue_position"] = view.place->position;
    object["eta_seconds"] = view.place->eta_seconds;
  } else if (view.progress) {
    object["eta_seconds"] = view.progress->eta_seconds;
    object["step"] = view.progress->step;
    object["total_steps"] = view.progress->total;
  }
  if (!job.error.empty()) object["error"] = parsed(job.error);
  return object;
}

EditSummary summary_of(const JobRecord& job, const EditResult& result) {
  EditSummary summary;
  summary.format = result.format;
  summary.operation = job.operation;
  return summary;
}

}  // namespace

std::string job_json(const JobView& view, const EditResult* result) {
  std::string text = object_of(view).dump();
  if (!result) return text;
  text.pop_back();
  return text + ",\"result\":" + images_json(summary_of(view.job, *result), *result) + "}";
}

std::string jobs_json(const std::vector<JobView>& views, bool has_more) {
  ordered_json list = {
      {"object", "list"}, {"data", ordered_json::array()}, {"first_id", nullptr}, {"last_id", nullptr}};
  for (const JobView& view : views) list["data"].push_back(object_of(view));
  if (!views.empty()) {
    list["first_id"] = views.front().job.id;
    list["last_id"] = views.back().job.id;
  }
  list["has_more"] = has_more;
  return list.dump();
}

std::string ending_of(const JobRecord& job) {
  if (job.status == JobStatus::kSucceeded) return job.operation + ".completed";
  return job.status == JobStatus::kCancelled ? "job.cancelled" : "job.failed";
}

std::string ending_json(const JobRecord& job, const EditResult* result) {
  if (result && result->pictures.size() == 1) return completed_json(summary_of(job, *result), *result);
  ordered_json data = {{"type", ending_of(job)}};
  if (!job.error.empty()) data["error"] = parsed(job.error);
  std::string text = data.dump();
  if (!result) return text;
  text.back() = ',';
  return text + images_json(summary_of(job, *result), *result).substr(1);
}

}  // namespace holdall::runtime::service
