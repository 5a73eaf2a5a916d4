// `holdall-edit keys add|list|revoke` and `holdall-edit audit verify`.
#pragma once

namespace CLI {
class App;
}

namespace holdall::runtime::service {

// The commands run while the command line is parsed; they throw runtime::Error.
void add_keys_command(CLI::App& app);
void add_audit_command(CLI::App& app);

}  // namespace holdall::runtime::service
