#include "runtime/service/http/http_error.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace holdall::runtime::service {
namespace {

const char* type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

HttpError&& HttpError::retry_after(double seconds) && {
  const auto whole = static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 120.0));
  return std::move(*this).with("Retry-After", std::to_string(whole));
}

HttpError&& HttpError::final() && {
  return std::move(*this).with("x-should-retry", "false");
}

HttpError&& HttpError::with(std::string name, std::string value) && {
  headers_.emplace_back(std::move(name), std::move(value));
  return std::move(*this);
}

HttpReply HttpError::reply() const {
  const nlohmann::json param = param_.empty() ? nlohmann::json() : nlohmann::json(param_);
  const nlohmann::ordered_json body = {
      {"error", {{"message", what()}, {"type", type_of(status_)}, {"param", param}, {"code", code_}}}};
  HttpReply reply;
  reply.status = status_;
  reply.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  reply.headers = headers_;
  return reply;
}

HttpError bad_field(const std::string& field, const std::string& message, std::string code) {
  return {400, std::move(code), message, field};
}

}  // namespace holdall::runtime::service
