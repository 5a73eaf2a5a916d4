// Prometheus metrics, in base units and with bounded labels. Any thread.
#pragma once

#include <memory>
#include <string>

namespace holdall::runtime::service {

struct BuildInfo {
  std::string torch, cuda, model_digest, environment_digest;  // empty: not known
};

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // What the label `route` says of a path that is none of ours, so that labels stay bounded: "other".
  void request_done(const std::string& route, const std::string& method, int status, double seconds, double body_bytes);
  // `stage`: text, denoise, vae, encode.
  void stage_done(const std::string& stage, double seconds);
  void denoise_step_done(double seconds);
  void job_started(double queue_seconds);
  // `outcome`: succeeded, failed, cancelled. `reason`: an error code, or empty.
  void job_done(const std::string& outcome, const std::string& reason);
  void out_of_memory(const std::string& stage);
  void worker_restarted(const std::string& reason);
  // `result`: hit, miss, joined.
  void cache_asked(const std::string& result);
  // `stage`: before, after. `result`: passed, refused, failed.
  void policy_checked(const std::string& stage, const std::string& result);
  // `reason`: missing, unknown.
  void authentication_failed(const std::string& reason);

  void set_queue(double depth, double inflight);
  void set_queue_limit(double limit);
  void set_connections(double open);
  void set_ready(double ready);
  void set_draining(double draining);
  // `dependency`: upstream, classifier. `state` as Breaker::State has it.
  void set_dependency_up(const std::string& dependency, bool up);
  void set_breaker_state(const std::string& dependency, int state);
  void set_build_info(const BuildInfo& build);

  std::string exposition() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdall::runtime::service
