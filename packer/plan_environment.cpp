#include "packer/plan_environment.h"

#include <utility>

#include "packer/host_needs.h"
#include "packer/licences.h"
#include "packer/own_libc.h"
#include "packer/plan_layout.h"
#include "packer/relocation/make_relocatable.h"
#include "packer/sbom/sbom.h"

namespace holdall::packer {
PackPlan plan_environment(Collection collection, const EnvironmentOptions& options, const BuildMachine& machine,
                          const std::function<void()>& check) {
  PackPlan plan;
  plan.info.tool_version = HOLDALL_VERSION;
  plan.info.name = options.name;
  plan.info.version = options.version;
  RelocatableInputs inputs = make_relocatable(collection, {.shebang = options.shebang,
                                                           .destination = options.dest_prefix,
                                                           .launcher = options.launcher,
                                                           .libc = options.libc,
                                                           .slimming = options.slimming,
                                                           .mtime = options.mtime,
                                                           .threads = options.threads,
                                                           .check = check,
                                                           .remembered = options.remembered});
  collection.members = {};  // of a million files, 80 MB
  plan.warnings = std::move(inputs.warnings);
  plan.members = std::move(inputs.members);
  LibraryOrigins origins(machine.system_root);
  if (options.libc == Libc::kBundled) add_own_libc(plan, origins, machine, check);
  add_licences(plan, origins, machine.system_root);
  plan.slim_drops = slim(plan.members, options.slimming);
  add_sbom(plan, origins,
           {.name = options.name,
            .version = options.version,
            .system_root = machine.system_root,
            .threads = options.threads,
            .check = check});
  add_relocation_list(plan.members, std::move(inputs.host_links));
  add_parent_folders(plan);
  sort_for_start_up(plan);
  Faults faults;
  refuse_collisions(plan, faults);
  faults.report();
  derive_host_needs(plan, {}, {.threads = options.threads, .check = check});
  count_members(plan);
  add_build_prefixes(plan, collection);
  add_build_machine(plan, machine);
  plan.destination = options.dest_prefix;
  forget_telling_edits(plan);
  return plan;
}

}  // namespace holdall::packer
