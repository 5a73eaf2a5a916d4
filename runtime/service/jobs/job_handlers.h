// GET /v1/jobs, GET and DELETE /v1/jobs/{id}, GET /v1/jobs/{id}/events.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "runtime/service/access/access.h"
#include "runtime/service/jobs/jobs.h"

namespace holdall::runtime::service {

// `jobs`: null where none are kept. All throw HttpError.
std::unique_ptr<RequestHandler> open_job_list(const HttpRequest& request, const Caller& caller, Jobs* jobs);
std::unique_ptr<RequestHandler> open_job(const std::string& id, const HttpRequest& request, const Caller& caller,
                                         Jobs* jobs);
std::unique_ptr<RequestHandler> open_job_events(const std::string& id, const HttpRequest& request, const Caller& caller,
                                                Jobs* jobs, std::chrono::seconds heartbeat);

// Whether the request has the preference "respond-async" (RFC 7240).
bool wants_async(const HttpRequest& request);
// 202: where to ask for the job.
HttpReply accepted_reply(const JobView& view);

}  // namespace holdall::runtime::service
