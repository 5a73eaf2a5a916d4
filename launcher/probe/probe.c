/* holdall-probe LIBCUDA: asks the driver what it is and which devices it sees, one JSON object per line on stdout.
 *
 * The launcher is static and cannot dlopen, and a broken driver may hang or crash whoever loads it: so this small
 * dynamic program does, in a child with a deadline. It must load on any glibc of the last twenty years, hence its own
 * _start, no start files, and the oldest symbol version of everything it calls (a test reads them).
 *
 * Each line says what is about to happen or what happened, so that the last line of a probe that died says where:
 *   {"event":"loading"} {"event":"load_failed","message":M} {"event":"loaded"}
 * {"event":"version","result":R,"version":V}
 *   {"event":"init"} {"event":"initialised"} {"event":"failed","call":C,"result":R}
 *   {"event":"device","index":I,"name":N,"uuid":U,"capability":"9.0","memory_bytes":B} {"event":"done"}
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
__asm__(
    ".globl _start\n_start:\n"
    "  xor %ebp, %ebp\n  mov %rdx, %r9\n  pop %rsi\n  mov %rsp, %rdx\n  and $-16, %rsp\n  push %rax\n  push %rsp\n"
    "  xor %r8d, %r8d\n  xor %ecx, %ecx\n  lea probe_main(%rip), %rdi\n"
    "  call *__libc_start_main@GOTPCREL(%rip)\n  hlt\n");
#elif defined(__aarch64__)
#define OLDEST "GLIBC_2.17"
__asm__(
    ".globl _start\n_start:\n"
    "  mov x29, #0\n  mov x30, #0\n  mov x5, x0\n  ldr x1, [sp]\n  add x2, sp, #8\n  mov x6, sp\n"
    "  adrp x0, probe_main\n  add x0, x0, :lo12:probe_main\n  mov x3, #0\n  mov x4, #0\n"
    "  bl __libc_start_main\n  brk #0\n");
#else
#error "holdall-probe knows x86-64 and aarch64"
#endif
#define USE_OLDEST(name) __asm__(".symver " #name "," #name "@" OLDEST)
USE_OLDEST(dlopen);
USE_OLDEST(dlsym);
USE_OLDEST(dlerror);
USE_OLDEST(__libc_start_main);

/* From NVIDIA's driver API: CUresult 0 is success; attributes 75 and 76 are the compute capability. */
enum { kSuccess = 0, kCapabilityMajor = 75, kCapabilityMinor = 76, kLine = 2048 };
typedef int (*InitFunction)(unsigned);
typedef int (*GetIntFunction)(int*);
typedef int (*DeviceGetFunction)(int*, int);
typedef int (*NameFunction)(char*, int, int);
typedef int (*AttributeFunction)(int*, int, int);
typedef int (*MemoryFunction)(size_t*, int);
typedef int (*UuidFunction)(unsigned char*, int);

/* Whole lines by one write each: what was said before a crash is not lost in a buffer. */
static void say(const char* line, int length) {
  if (length > kLine - 1) length = kLine - 1;
  for (int sent = 0; sent < length;) {
    ssize_t n = write(1, line + sent, (size_t)(length - sent));
    if (n <= 0) _exit(2);
    sent += (int)n;
  }
}

static void say_text(const char* text) {
  int length = 0;
  while (text[length]) ++length;
  say(text, length);
}

static void fail(const char* call, int result) {
  char line[kLine];
  say(line, snprintf(line, sizeof line, "{\"event\":\"failed\",\"call\":\"%s\",\"result\":%d}\n", call, result));
}

/* What a JSON string may hold: printable ASCII, escaped; other bytes become '?'. */
static void escape(const char* text, char* out, int capacity) {
  int at = 0;
  for (; *text && at < capacity - 2; ++text) {
    char c = *text;
    if (c == '"' || c == '\\') out[at++] = '\\';
    out[at++] = (c < 0x20 || c > 0x7e) ? '?' : c;
  }
  out[at] = 0;
}

static void say_device(void* library, int index) {
  DeviceGetFunction get = (DeviceGetFunction)dlsym(library, "cuDeviceGet");
  NameFunction get_name = (NameFunction)dlsym(library, "cuDeviceGetName");
  AttributeFunction attribute = (AttributeFunction)dlsym(library, "cuDeviceGetAttribute");
  MemoryFunction total = (MemoryFunction)dlsym(library, "cuDeviceTotalMem_v2");
  UuidFunction get_uuid = (UuidFunction)dlsym(library, "cuDeviceGetUuid_v2");
  if (!get_uuid) get_uuid = (UuidFunction)dlsym(library, "cuDeviceGetUuid");

  int device = 0;
  int result = get ? get(&device, index) : -1;
  if (result != kSuccess) {
    fail("cuDeviceGet", result);
    return;
  }
  char raw[256] = "", name[520] = "", uuid[64] = "", line[kLine];
  unsigned char id[16];
  int major = 0, minor = 0;
  size_t bytes = 0;
  if (get_name && get_name(raw, (int)sizeof raw - 1, device) == kSuccess) escape(raw, name, (int)sizeof name);
  if (attribute) {
    if (attribute(&major, kCapabilityMajor, device) != kSuccess) major = 0;
    if (attribute(&minor, kCapabilityMinor, device) != kSuccess) minor = 0;
  }
  if (total && total(&bytes, device) != kSuccess) bytes = 0;
  if (get_uuid && get_uuid(id, device) == kSuccess) {
    int at = snprintf(uuid, sizeof uuid, "GPU-");
    for (int i = 0; i < 16; ++i)
      at += snprintf(uuid + at, sizeof uuid - (size_t)at, "%s%02x", (i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "",
                     id[i]);
  }
  say(line, snprintf(line, sizeof line,
                     "{\"event\":\"device\",\"index\":%d,\"name\":\"%s\",\"uuid\":\"%s\",\"capability\":\"%d.%d\","
                     "\"memory_bytes\":%llu}\n",
                     index, name, uuid, major, minor, (unsigned long long)bytes));
}

__attribute__((used)) static int probe_main(int argc, char** argv) {
  char line[kLine], message[kLine / 2];
  if (argc != 2) _exit(2);
  say_text("{\"event\":\"loading\"}\n");
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const char* why = dlerror();
    escape(why ? why : "unknown", message, (int)sizeof message);
    say(line, snprintf(line, sizeof line, "{\"event\":\"load_failed\",\"message\":\"%s\"}\n", message));
    _exit(0);
  }
  say_text("{\"event\":\"loaded\"}\n");

  GetIntFunction driver_version = (GetIntFunction)dlsym(library, "cuDriverGetVersion");
  int version = 0;
  int result = driver_version ? driver_version(&version) : -1;
  say(line, snprintf(line, sizeof line, "{\"event\":\"version\",\"result\":%d,\"version\":%d}\n", result, version));

  InitFunction init = (InitFunction)dlsym(library, "cuInit");
  say_text("{\"event\":\"init\"}\n");
  result = init ? init(0) : -1;
  if (result != kSuccess) {
    fail("cuInit", result);
    _exit(0);
  }
  say_text("{\"event\":\"initialised\"}\n");

  GetIntFunction device_count = (GetIntFunction)dlsym(library, "cuDeviceGetCount");
  int count = 0;
  result = device_count ? device_count(&count) : -1;
  if (result != kSuccess) fail("cuDeviceGetCount", result);
  for (int i = 0; i < count && i < 64; ++i) say_device(library, i);
  say_text("{\"event\":\"done\"}\n");
  _exit(0); /* not exit: the driver's own exit handlers may hang */
}
