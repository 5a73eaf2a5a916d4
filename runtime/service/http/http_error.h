// A refusal as clients see it: always {"error":{message,type,param,code}}, since OpenAI's clients read nothing else.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/service/http/http.h"

namespace holdall::runtime::service {

class HttpError : public std::runtime_error {
 public:
  // `code`: a stable word that programs may branch on. `param`: the field at fault, or empty.
  HttpError(int status, std::string code, const std::string& message, std::string param = {})
      : std::runtime_error(message), status_(status), code_(std::move(code)), param_(std::move(param)) {}

  int status() const noexcept { return status_; }
  const std::string& code() const noexcept { return code_; }

  // Whole seconds, clamped to 1…120.
  HttpError&& retry_after(double seconds) &&;
  // Tells SDKs, which repeat every 5xx twice, that this one will always fail.
  HttpError&& final() &&;
  // One more header of the reply.
  HttpError&& with(std::string name, std::string value) &&;

  HttpReply reply() const;

 private:
  int status_;
  std::string code_, param_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

// 400 about one field.
HttpError bad_field(const std::string& field, const std::string& message, std::string code = "invalid_value");

}  // namespace holdall::runtime::service
