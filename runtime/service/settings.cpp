#include "runtime/service/settings.h"

#include <stdexcept>

#include "runtime/service/settings_reader.h"

namespace holdall::runtime::service {
namespace {

constexpr std::uint64_t kDay = 86'400, kLargestSide = 65'535;

template <class Number>
void take(Section& section, const char* name, std::uint64_t low, std::uint64_t high, Number& value) {
  if (const auto found = section.whole(name, low, high)) value = static_cast<Number>(*found);
}

void take(Section& section, const char* name, std::uint64_t low, std::uint64_t high, std::chrono::seconds& value) {
  if (const auto found = section.whole(name, low, high)) value = std::chrono::seconds(*found);
}

}  // namespace

Settings read_settings(const std::filesystem::path& file) {
  Settings settings;
  if (file.empty()) return settings;
  Section root = Section::read(file);

  Section limits = root.section("limits");
  take(limits, "max_body_bytes", 1, 1ull << 40, settings.limits.max_body_bytes);
  take(limits, "max_pixels", 1, 1ull << 40, settings.max_pixels);
  take(limits, "header_timeout_seconds", 1, kDay, settings.limits.header_timeout);
  take(limits, "body_timeout_seconds", 1, kDay, settings.limits.body_timeout);
  take(limits, "write_timeout_seconds", 1, kDay, settings.limits.write_timeout);
  take(limits, "max_connections", 1, 1'000'000, settings.limits.max_connections);
  take(limits, "queue_limit", 0, 100'000, settings.queue_limit);
  limits.expect_empty();

  Section drain = root.section("drain");
  take(drain, "lame_duck_seconds", 0, kDay, settings.lame_duck);
  take(drain, "deadline_seconds", 0, kDay, settings.drain_deadline);
  drain.expect_empty();

  Section events = root.section("events");
  take(events, "heartbeat_seconds", 1, kDay, settings.heartbeat);
  events.expect_empty();

  Section content = root.section("content");
  take(content, "url_ttl_seconds", 1, 365 * kDay, settings.url_ttl);
  content.expect_empty();

  Section jobs = root.section("jobs");
  take(jobs, "ttl_seconds", 1, 365 * kDay, settings.jobs.ttl);
  take(jobs, "max_attempts", 1, 100, settings.jobs.max_attempts);
  take(jobs, "max_bytes", 0, 1ull << 50, settings.jobs.max_bytes);
  jobs.expect_empty();

  Section cache = root.section("cache");
  take(cache, "ttl_seconds", 1, 365 * kDay, settings.cache.ttl);
  take(cache, "max_bytes", 0, 1ull << 50, settings.cache.max_bytes);
  cache.expect_empty();

  Section images = root.section("images");
  const auto short_side = images.whole("preprocess_short_side", 0, kLargestSide);
  if (short_side.value_or(0) > 0) settings.short_side = static_cast<int>(*short_side);
  settings.fetch = {{}, settings.limits.max_body_bytes, settings.limits.body_timeout};
  for (const std::string& host : images.texts("allow_url_hosts")) try {
      settings.fetch.hosts.push_back(fetch_host(host));
    } catch (const std::invalid_argument& error) {
      images.refuse("allow_url_hosts", "has '" + host + "', which " + error.what());
    }
  images.expect_empty();

  Section policy = root.section("policy");
  settings.policy = ContentPolicy(policy.texts("blocked_words"));
  settings.classifier.url = policy.text("classifier_url").value_or("");
  if (!settings.classifier.url.empty()) try {
      ServerAddress::parse(settings.classifier.url);
    } catch (const std::invalid_argument& error) {
      policy.refuse("classifier_url", "is '" + settings.classifier.url + "', which " + error.what());
    }
  settings.classifier.api_key = policy.environment("classifier_api_key_env").value_or("");
  settings.classifier.threshold = policy.number("classifier_threshold", 0, 1);
  take(policy, "classifier_timeout_seconds", 1, 600, settings.classifier.timeout);
  policy.expect_empty();

  Section upstream = root.section("upstream");
  settings.upstream.url = upstream.text("url").value_or("");
  settings.upstream.api_key = upstream.environment("api_key_env").value_or("");
  settings.upstream.model = upstream.text("model").value_or("");
  const std::string mode = upstream.text("mode").value_or("standby");
  if (mode != "primary" && mode != "standby") upstream.refuse("mode", "must be \"primary\" or \"standby\"");
  settings.upstream.mode = mode == "primary" ? UpstreamSettings::Mode::kPrimary : UpstreamSettings::Mode::kStandby;
  take(upstream, "timeout_seconds", 1, kDay, settings.upstream.timeout);
  take(upstream, "open_seconds", 1, kDay, settings.upstream.breaker.open);
  take(upstream, "probe_interval_seconds", 0, kDay, settings.upstream.probe_interval);
  take(upstream, "failures_to_open", 1, 1000, settings.upstream.breaker.failures_to_open);
  upstream.expect_empty();

  root.expect_empty();
  return settings;
}

}  // namespace holdall::runtime::service
