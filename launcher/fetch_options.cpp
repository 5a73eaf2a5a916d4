#include "launcher/fetch_options.h"

#include <CLI/CLI.hpp>

namespace holdall::launcher {

void add_fetch_options(CLI::App& command, FetchOptions& options) {
  constexpr unsigned kLongest = 3600;
  command.add_option("--header", options.headers, "'Name: value' to send to the address, e.g. credentials; repeatable")
      ->allow_extra_args(false);
  command
      .add_option("--mirror", options.mirrors, "another address of the same archive, for when SOURCE fails; repeatable")
      ->allow_extra_args(false);
  command.add_option("--cacert", options.ca_file,
                     "PEM file of the authorities to trust [SSL_CERT_FILE, or the host's]");
  command.add_option("--stall-timeout", options.timeout_seconds, "seconds without a byte until a try has failed [30]")
      ->check(CLI::Range(1U, kLongest));
}

}  // namespace holdall::launcher
