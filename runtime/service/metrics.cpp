#include "runtime/service/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>

namespace holdall::runtime::service {
namespace {

namespace prom = prometheus;

prom::Histogram::BucketBoundaries request_buckets() {
  return {.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600};
}
prom::Histogram::BucketBoundaries step_buckets() {
  return {.01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60};
}
prom::Histogram::BucketBoundaries byte_buckets() {
  return {1e3, 1e4, 1e5, 1e6, 4e6, 16e6, 64e6};
}

// Methods come from clients: only the known ones become labels.
std::string bounded_method(const std::string& method) {
  for (const char* known : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
    if (method == known) return method;
  return "other";
}

// A registry whose families are made with less ceremony.
struct Families {
  prom::Registry registry;

  prom::Family<prom::Counter>& counters(const char* name, const char* help) {
    return prom::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prom::Family<prom::Histogram>& histograms(const char* name, const char* help) {
    return prom::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  prom::Family<prom::Gauge>& gauges(const char* name, const char* help) {
    return prom::BuildGauge().Name(name).Help(help).Register(registry);
  }
  prom::Gauge& gauge(const char* name, const char* help) { return gauges(name, help).Add({}); }
};

}  // namespace

struct Metrics::Impl : Families {
  prom::Family<prom::Counter>& requests =
      counters("holdall_http_requests_total", "Requests answered, or given up by the client (499)");
  prom::Family<prom::Histogram>& request_seconds =
      histograms("holdall_request_duration_seconds", "From the request's header to the end of its reply");
  prom::Family<prom::Histogram>& stage_seconds =
      histograms("holdall_stage_duration_seconds", "Time of one edit's stage");
  prom::Histogram& step_seconds =
      histograms("holdall_denoise_step_duration_seconds", "Time of one denoising step").Add({}, step_buckets());
  prom::Histogram& queue_seconds =
      histograms("holdall_queue_wait_seconds", "Time between acceptance and start").Add({}, request_buckets());
  prom::Histogram& body_bytes =
      histograms("holdall_request_body_bytes", "Size of request bodies").Add({}, byte_buckets());
  prom::Family<prom::Counter>& jobs = counters("holdall_jobs_total", "Edit requests that ended");
  prom::Family<prom::Counter>& oom = counters("holdall_gpu_oom_total", "Edits that ran out of memory");
  prom::Family<prom::Counter>& restarts =
      counters("holdall_worker_restarts_total", "Worker processes that ended and were started again");
  prom::Family<prom::Counter>& cache_requests =
      counters("holdall_cache_requests_total", "Edits whose result is sure to be the same each time");
  prom::Family<prom::Counter>& policy_checks =
      counters("holdall_policy_checks_total", "Questions to the classifier, before and after an edit");
  prom::Family<prom::Counter>& authentication_failures =
      counters("holdall_auth_failures_total", "Requests without a key that is known");
  prom::Family<prom::Gauge>& build_info = gauges("holdall_build_info", "Always 1; what runs is in the labels");
  prom::Family<prom::Gauge>& dependency_up =
      gauges("holdall_dependency_up", "1 when the dependency answered last time it was asked");
  prom::Family<prom::Gauge>& breaker_state =
      gauges("holdall_breaker_state", "0 closed, 1 half open, 2 open: not asked");
  prom::Gauge& queue_depth = gauge("holdall_queue_depth", "Edit requests that wait");
  prom::Gauge& queue_limit = gauge("holdall_queue_limit", "Edit requests that may wait");
  prom::Gauge& inflight = gauge("holdall_jobs_inflight", "Edit requests that run");
  prom::Gauge& connections = gauges("holdall_connections", "Connections to the main listener").Add({{"state", "open"}});
  prom::Gauge& ready = gauge("holdall_ready", "1 when edits are served");
  prom::Gauge& draining = gauge("holdall_draining", "1 after the signal to stop");

  // Zero from the start: a counter whose first sample is 1 has no increase that an alert could see.
  Impl() {
    for (const char* reason : {"crashed", "hung", "load_failed"}) restarts.Add({{"reason", reason}});
    for (const char* stage : {"text", "denoise", "vae", "encode"}) {
      oom.Add({{"stage", stage}});
      stage_seconds.Add({{"stage", stage}}, request_buckets());
    }
    for (const char* result : {"hit", "miss", "joined"}) cache_requests.Add({{"result", result}});
    for (const char* stage : {"before", "after"})
      for (const char* result : {"passed", "refused", "failed"})
        policy_checks.Add({{"stage", stage}, {"result", result}});
    for (const char* reason : {"missing", "unknown"}) authentication_failures.Add({{"reason", reason}});
    jobs.Add({{"outcome", "succeeded"}, {"reason", ""}});
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::request_done(const std::string& route, const std::string& method, int status, double seconds,
                           double body_bytes) {
  impl_->requests.Add({{"route", route}, {"method", bounded_method(method)}, {"code", std::to_string(status)}})
      .Increment();
  const char* outcome = status == 499   ? "cancelled"
                        : status >= 500 ? "server_error"
                        : status >= 400 ? "client_error"
                                        : "ok";
  impl_->request_seconds.Add({{"route", route}, {"outcome", outcome}}, request_buckets()).Observe(seconds);
  if (body_bytes > 0) impl_->body_bytes.Observe(body_bytes);
}
void Metrics::stage_done(const std::string& stage, double seconds) {
  impl_->stage_seconds.Add({{"stage", stage}}, request_buckets()).Observe(seconds);
}
void Metrics::denoise_step_done(double seconds) {
  impl_->step_seconds.Observe(seconds);
}
void Metrics::job_started(double queue_seconds) {
  impl_->queue_seconds.Observe(queue_seconds);
}
void Metrics::job_done(const std::string& outcome, const std::string& reason) {
  impl_->jobs.Add({{"outcome", outcome}, {"reason", reason}}).Increment();
}
void Metrics::out_of_memory(const std::string& stage) {
  impl_->oom.Add({{"stage", stage}}).Increment();
}
void Metrics::worker_restarted(const std::string& reason) {
  impl_->restarts.Add({{"reason", reason}}).Increment();
}
void Metrics::cache_asked(const std::string& result) {
  impl_->cache_requests.Add({{"result", result}}).Increment();
}
void Metrics::policy_checked(const std::string& stage, const std::string& result) {
  impl_->policy_checks.Add({{"stage", stage}, {"result", result}}).Increment();
}
void Metrics::authentication_failed(const std::string& reason) {
  impl_->authentication_failures.Add({{"reason", reason}}).Increment();
}
void Metrics::set_queue(double depth, double inflight) {
  impl_->queue_depth.Set(depth);
  impl_->inflight.Set(inflight);
}
void Metrics::set_queue_limit(double limit) {
  impl_->queue_limit.Set(limit);
}
void Metrics::set_connections(double open) {
  impl_->connections.Set(open);
}
void Metrics::set_ready(double ready) {
  impl_->ready.Set(ready);
}
void Metrics::set_draining(double draining) {
  impl_->draining.Set(draining);
}
void Metrics::set_dependency_up(const std::string& dependency, bool up) {
  impl_->dependency_up.Add({{"dep", dependency}}).Set(up ? 1 : 0);
}
void Metrics::set_breaker_state(const std::string& dependency, int state) {
  impl_->breaker_state.Add({{"dep", dependency}}).Set(state);
}
void Metrics::set_build_info(const BuildInfo& build) {
  impl_->build_info
      .Add({{"version", HOLDALL_VERSION},
            {"torch", build.torch},
            {"cuda", build.cuda},
            {"model_digest", build.model_digest},
            {"env_digest", build.environment_digest}})
      .Set(1);
}

std::string Metrics::exposition() const {
  return prom::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace holdall::runtime::service
