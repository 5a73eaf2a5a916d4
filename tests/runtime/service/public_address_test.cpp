#include "runtime/service/fetch/public_address.h"

#include <gtest/gtest.h>

namespace holdall::runtime::service {
namespace {

TEST(PublicAddress, IsNoneThatIsSetAside) {
  for (const char* address :
       {"0.0.0.0",         "0.1.2.3",        "10.0.0.1",     "10.255.255.255", "100.64.0.1",      "100.100.100.200",
        "100.127.255.255", "127.0.0.1",      "127.1.2.3",    "169.254.0.1",    "169.254.169.254", "172.16.0.1",
        "172.31.255.255",  "192.0.0.8",      "192.0.2.1",    "192.88.99.1",    "192.168.0.1",     "192.168.255.255",
        "198.18.0.1",      "198.19.255.255", "198.51.100.7", "203.0.113.9",    "224.0.0.1",       "239.255.255.255",
        "240.0.0.1",       "255.255.255.255"})
    EXPECT_FALSE(is_public(address)) << address;
  for (const char* address : {"::",
                              "::1",
                              "::127.0.0.1",
                              "::8.8.8.8",
                              "::ffff:127.0.0.1",
                              "::ffff:8.8.8.8",
                              "::ffff:0:8.8.8.8",
                              "64:ff9b::7f00:1",
                              "64:ff9b::a9fe:a9fe",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:2::1",
                              "2001:10::1",
                              "2001:20::1",
                              "2001:db8::1",
                              "2002:7f00:1::1",
                              "2002:808:808::1",
                              "3fff::1",
                              "3fff:fff::1",
                              "4000::1",
                              "5f00::1",
                              "fc00::1",
                              "fd12:3456::1",
                              "fe80::1",
                              "febf::1",
                              "fec0::1",
                              "ff02::1",
                              "ffff::1"})
    EXPECT_FALSE(is_public(address)) << address;
}

TEST(PublicAddress, IsWhatLiesBesideIt) {
  for (const char* address :
       {"1.0.0.1",         "8.8.8.8",        "9.255.255.255",   "11.0.0.0",      "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.1",      "169.253.255.255", "169.255.0.0",   "172.15.255.255", "172.32.0.0",
        "191.255.255.255", "192.0.1.0",      "192.0.3.0",       "192.88.98.255", "192.88.100.0",   "192.167.255.255",
        "192.169.0.0",     "198.17.255.255", "198.20.0.0",      "198.51.99.255", "198.51.101.0",   "203.0.112.255",
        "203.0.114.0",     "223.255.255.255"})
    EXPECT_TRUE(is_public(address)) << address;
  for (const char* address : {"2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111",
                              "3ffe:ffff::1", "3fff:1000::1", "64:ff9b::808:808"})
    EXPECT_TRUE(is_public(address)) << address;
}

TEST(PublicAddress, IsNothingThatIsNoAddress) {
  for (const char* text : {"", "localhost", "8.8.8", "8.8.8.8.", " 8.8.8.8", "0x8.8.8.8", "134744072", "2606::1%eth0",
                           "[2606::1]", "8.8.8.8:80"})
    EXPECT_FALSE(is_public(text)) << text;
}

TEST(PublicAddress, IsWantedOfAllThatANameHas) {
  EXPECT_TRUE(are_public({"8.8.8.8", "2606:4700::1111"}));
  EXPECT_FALSE(are_public({"8.8.8.8", "10.0.0.1"}));
  EXPECT_FALSE(are_public({"::1", "8.8.8.8"}));
  EXPECT_FALSE(are_public({}));
}

}  // namespace
}  // namespace holdall::runtime::service
