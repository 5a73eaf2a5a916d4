// One function per subcommand: declares its options on the application; its callback runs it and sets the exit code.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace holdall::launcher {

struct CommandResult {
  int exit_code = 0;
  std::vector<std::string> program;  // in: what stands behind "--", for exec
};

// Registers every command below. A command that is not there yet has no declaration either.
void add_commands(CLI::App& app, CommandResult& result);

void add_run(CLI::App& app, CommandResult& result);
void add_install(CLI::App& app, CommandResult& result);
void add_upgrade(CLI::App& app, CommandResult& result);
void add_use(CLI::App& app, CommandResult& result);
void add_rollback(CLI::App& app, CommandResult& result);
void add_start(CLI::App& app, CommandResult& result);
void add_restart(CLI::App& app, CommandResult& result);
void add_stop(CLI::App& app, CommandResult& result);
void add_exec(CLI::App& app, CommandResult& result);
void add_status(CLI::App& app, CommandResult& result);
void add_logs(CLI::App& app, CommandResult& result);
void add_ls(CLI::App& app, CommandResult& result);
void add_inspect(CLI::App& app, CommandResult& result);
void add_unit(CLI::App& app, CommandResult& result);
void add_verify(CLI::App& app, CommandResult& result);
void add_gc(CLI::App& app, CommandResult& result);
void add_doctor(CLI::App& app, CommandResult& result);
void add_extract(CLI::App& app, CommandResult& result);
void add_relocate(CLI::App& app, CommandResult& result);

// Makes `app` what it is under the name conda-unpack: the relocation of the tree around the program.
void add_unpack_of_conda(CLI::App& app, CommandResult& result);

}  // namespace holdall::launcher
