// Is there room for a release, before anything of it is fetched or unpacked?
#pragma once

#include "bundle/known_content.h"
#include "bundle/toc.h"
#include "launcher/store.h"

namespace holdall::launcher {

// Files of `known` (may be null) take no room on a filesystem that lets files share blocks. Throws Error{kStorage},
// naming what is free and what is needed.
void require_space(const Store& store, const bundle::Toc& toc, const bundle::KnownContent* known);

}  // namespace holdall::launcher
