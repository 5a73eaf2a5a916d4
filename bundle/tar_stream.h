// The tar stream of a bundle against its TOC: what any tar program would unpack is what the TOC says.
#pragma once

#include "bundle/reader.h"

namespace holdall::bundle {

// Reads the frames between the files' payloads: every member's header, padding and the end of the archive. Payloads
// are not read: chunk digests cover them. Of an archive that is fetched in part (RandomAccess::is_here), what is here
// is compared: the TOC alone says what is unpacked. Throws Error{kBadBundle} at the first difference, naming the
// member. Returns the time of the first member, which the writer gives to all.
std::int64_t check_tar_stream(const Reader& reader);

}  // namespace holdall::bundle
