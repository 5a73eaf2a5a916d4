// --config FILE.json: what operators may set beyond the command line. Every value has a default; SIGHUP reads it again.
#pragma once

#include <filesystem>

#include "runtime/service/access/classifier.h"
#include "runtime/service/access/content_policy.h"
#include "runtime/service/edits/edit_cache.h"
#include "runtime/service/fetch/picture_fetcher.h"
#include "runtime/service/jobs/job_journal.h"
#include "runtime/service/options.h"
#include "runtime/service/upstream/upstream.h"

namespace holdall::runtime::service {

struct Settings {
  HttpLimits limits;
  std::uint64_t max_pixels = 40'000'000;  // of one picture that comes in
  std::size_t queue_limit = 32;           // requests that wait; the one that runs is not counted. Not reread
  std::chrono::seconds lame_duck{0};      // between the signal to stop and the last connection that is accepted
  std::chrono::seconds drain_deadline{300};
  std::chrono::seconds heartbeat{15};  // of event streams
  std::chrono::seconds url_ttl{3600};  // of the addresses that response_format=url gives
  std::optional<int> short_side;       // pictures that come in are scaled down to it
  FetchRules fetch;                    // of pictures that JSON names by their addresses; its bounds are the body's
  JobLimits jobs;
  CacheLimits cache;
  ContentPolicy policy;
  ClassifierSettings classifier;
  UpstreamSettings upstream;  // not reread
};

// An empty path: the defaults. Throws runtime::Error: kNotFound, kStorage; kBadRequest with the JSON pointer of a value
// that cannot be used, or is not known.
Settings read_settings(const std::filesystem::path& file);

}  // namespace holdall::runtime::service
