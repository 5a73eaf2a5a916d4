// Pictures that a request names by their addresses: fetched from hosts that the operator lists, and from nowhere else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/service/edits/edit_form.h"
#include "runtime/service/fetch/public_address.h"
#include "runtime/service/http/http_call.h"
#include "runtime/service/http/http_error.h"

namespace holdall::runtime::service {

struct FetchRules {
  std::vector<std::string> hosts;         // "example.com", "example.com:8443"; empty: nothing is fetched
  std::uint64_t max_bytes = 64ull << 20;  // of all pictures of a request
  std::chrono::seconds timeout{60};       // for all of them
};

class PictureFetcher {
 public:
  // A host is connected to if `may_connect` agrees with all addresses that its name has. `io` outlives it.
  explicit PictureFetcher(boost::asio::io_context& io, AddressRule may_connect = are_public)
      : io_(io), may_connect_(std::move(may_connect)) {}

  void set_rules(const FetchRules& rules) { rules_ = rules; }

  // Throws HttpError 400 naming the field whose address is not fetched. Asks nobody.
  void check(const EditForm& form) const;

  // Puts what the form's addresses lead to in their places. `done` is called once, later: with the form, or with 400
  // naming the field, 413 for too many bytes, 504 once `deadline` has passed. Throws as check().
  using Done = std::function<void(std::variant<EditForm, HttpError>)>;
  std::shared_ptr<HttpCall> fetch(EditForm form, std::optional<Clock::time_point> deadline, Done done) const;

 private:
  boost::asio::io_context& io_;
  const AddressRule may_connect_;
  FetchRules rules_;
};

// An entry of FetchRules::hosts as check() compares it. Throws std::invalid_argument saying what is wrong.
std::string fetch_host(const std::string& entry);

}  // namespace holdall::runtime::service
