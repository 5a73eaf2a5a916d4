// Which addresses belong to the internet at large, and not to this machine, its network or nobody.
#pragma once

#include <string>
#include <vector>

namespace holdall::runtime::service {

// `address`: as inet_ntop() writes it. Public is what IANA's special-purpose registries (RFC 6890 and its successors)
// do not set aside; an IPv6 address that stands for an IPv4 one is refused, but for NAT64's, which is what that one is.
// What is no address at all is not public.
bool is_public(const std::string& address);

// Whether there is any, and each is.
bool are_public(const std::vector<std::string>& addresses);

}  // namespace holdall::runtime::service
