#include "launcher/commands.h"

namespace holdall::launcher {

void add_commands(CLI::App& app, CommandResult& result) {
  add_run(app, result);
  add_install(app, result);
  add_upgrade(app, result);
  add_use(app, result);
  add_rollback(app, result);
  add_start(app, result);
  add_restart(app, result);
  add_stop(app, result);
  add_status(app, result);
  add_logs(app, result);
  add_exec(app, result);
  add_unit(app, result);
  add_ls(app, result);
  add_inspect(app, result);
  add_verify(app, result);
  add_gc(app, result);
  add_doctor(app, result);
  add_extract(app, result);
  add_relocate(app, result);
}

}  // namespace holdall::launcher
