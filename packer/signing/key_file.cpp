#include "packer/signing/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <span>
#include <utility>

#include "bundle/byte_order.h"
#include "bundle/error.h"
#include "bundle/file_descriptor.h"
#include "bundle/file_io.h"
#include "packer/signing/password.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;
using bundle::FileDescriptor;

constexpr std::size_t kLargestKey = 4096;  // comment and key have some 260 bytes

// A file that was not there before; it goes away unless keep() is called.
class NewFile {
 public:
  NewFile(std::string path, mode_t mode)
      : path_(std::move(path)),
        file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)) {
    if (file_) return;
    if (errno == EEXIST)
      throw Error(ErrorKind::kUsage, "cannot create '" + path_ + "': it exists, and a key is never replaced: choose " +
                                         "another name, or remove it yourself");
    throw bundle::system_error(errno, "create", path_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (!kept_) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    if (!bundle::pwrite_all(file_.get(), bytes, 0) || ::fsync(file_.get()) != 0 || ::close(file_.release()) != 0)
      throw bundle::system_error(errno, "write", path_);
  }
  void keep() { kept_ = true; }

 private:
  std::string path_;
  FileDescriptor file_;
  bool kept_ = false;
};

SecretBytes read_secret(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) throw bundle::system_error(errno, "open", path);
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
    throw Error(ErrorKind::kStorage, "cannot use secret key '" + path + "': it is no file");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", status.st_mode & 07777U);
    throw Error(ErrorKind::kStorage, "cannot use secret key '" + path + "': others may read or write it (mode " + mode +
                                         "): chmod 600 it, and make a new key if others could log in here");
  }
  SecretBytes buffer(kLargestKey);
  std::size_t size = 0;
  for (ssize_t got = 1; got != 0 && size < kLargestKey; size += static_cast<std::size_t>(got)) {
    do {
      got = ::read(file.get(), buffer.bytes().data() + size, kLargestKey - size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw bundle::system_error(errno, "read", path);
  }
  SecretBytes text(size);
  std::copy_n(buffer.bytes().begin(), size, text.bytes().begin());
  return text;
}

}  // namespace

SecretKey load_secret_key(const std::string& path) {
  const SecretBytes text = read_secret(path);
  return SecretKey::parse(text.text(), path, [&] { return key_password(path, Asking::kOnce); });
}

void write_key_pair(const std::string& name, const SecretBytes& secret, const std::string& public_key) {
  NewFile key(name + ".key", S_IRUSR | S_IWUSR);
  NewFile pub(name + ".pub", S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  key.write(std::as_bytes(secret.bytes()));
  pub.write(bundle::as_byte_span(public_key));
  key.keep();
  pub.keep();
}

}  // namespace holdall::packer
