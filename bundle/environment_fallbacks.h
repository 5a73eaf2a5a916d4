// What an option is where the command line does not name it: HOLDALL_<OPTION>.
#pragma once

#include <set>
#include <string>

namespace CLI {
class App;
}

namespace holdall::bundle {

// Gives the long options that `command` has their fallbacks, and lists these in its --help; not those of `without`, by
// their names without dashes. Only what the command line names can be in conflict: a variable is passed over where its
// option excludes one that is there, or needs one that is not. Takes the command's parse_complete_callback.
void add_environment_fallbacks(CLI::App& command, const std::set<std::string>& without = {});

// Whether the command line itself names the option ("--key"), for values that turn out not to apply.
bool is_named(const CLI::App& command, const std::string& option);

}  // namespace holdall::bundle
