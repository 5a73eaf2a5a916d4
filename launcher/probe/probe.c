/* holdall-probe cuda LIBCUDA: asks the driver what it is and which devices it sees, and tries each.
 * holdall-probe nvml LIBNVIDIA_ML: asks its management library how the devices are.
 * One JSON object per line on stdout.
 *
 * The launcher is static and cannot dlopen, and a broken driver may hang or crash whoever loads it: so this small
 * dynamic program does, in a child with a deadline. It must load on any glibc of the last twenty years, hence its own
 * _start, no start files, and the oldest symbol version of everything it calls (a test reads them).
 *
 * Each line says what is about to happen or what happened, so that the last line of a probe that died says where:
 *   {"event":"loading"} {"event":"load_failed","message":M} {"event":"loaded"}
 * {"event":"version","result":R,"version":V}
 *   {"event":"init"} {"event":"initialised"} {"event":"failed","call":C,"result":R}
 *   {"event":"device","index":I,"name":N,"uuid":U,"capability":"9.0","memory_bytes":B}
 *   {"event":"trying","index":I} {"event":"tried","index":I,"call":C,"result":R,"free_bytes":F} {"event":"done"}
 * C is the call that failed with R, or empty. Of the management library, a value that a device does not have is left
 * out:
 *   {"event":"state","uuid":U,"compute_mode":M,"mig":0|1,"instances":N,"uncorrected":N,"remap_pending":0|1,
 *    "remap_failed":0|1,"free_bytes":F}
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
typedef unsigned long long DevicePointer; /* CUdeviceptr */
typedef int (*RetainFunction)(void**, int);
typedef int (*SetContextFunction)(void*);
typedef int (*ReleaseFunction)(int);
typedef int (*AllocateFunction)(DevicePointer*, size_t);
typedef int (*SetMemoryFunction)(DevicePointer, unsigned, size_t);
typedef int (*CopyFunction)(void*, DevicePointer, size_t);
typedef int (*FreeFunction)(DevicePointer);
typedef int (*MemoryInfoFunction)(size_t*, size_t*);

/* From NVIDIA's management library (nvml.h): nvmlReturn_t 0 is success. */
enum { kUncorrected = 1, kSinceBoot = 0, kNvmlUuid = 96 };
typedef struct {
  unsigned long long total, free, used;
} NvmlMemory;
typedef int (*NvmlInitFunction)(void);
typedef int (*NvmlCountFunction)(unsigned*);
typedef int (*NvmlHandleFunction)(unsigned, void**);
typedef int (*NvmlUuidFunction)(void*, char*, unsigned);
typedef int (*NvmlGetFunction)(void*, unsigned*);
typedef int (*NvmlMigModeFunction)(void*, unsigned*, unsigned*);
typedef int (*NvmlMigHandleFunction)(void*, unsigned, void**);
typedef int (*NvmlErrorsFunction)(void*, int, int, unsigned long long*);
typedef int (*NvmlRemappedFunction)(void*, unsigned*, unsigned*, unsigned*, unsigned*);
typedef int (*NvmlMemoryFunction)(void*, NvmlMemory*);

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

/* The driver fills memory with a kernel of its own: what that needs of a device, every program needs. Returns the name
 * of the call that failed, with its result, or "". */
static const char* fill_and_read(void* library, int index, int* result, size_t* free_bytes) {
  DeviceGetFunction get = (DeviceGetFunction)dlsym(library, "cuDeviceGet");
  RetainFunction retain = (RetainFunction)dlsym(library, "cuDevicePrimaryCtxRetain");
  SetContextFunction set_context = (SetContextFunction)dlsym(library, "cuCtxSetCurrent");
  ReleaseFunction release = (ReleaseFunction)dlsym(library, "cuDevicePrimaryCtxRelease_v2");
  MemoryInfoFunction info = (MemoryInfoFunction)dlsym(library, "cuMemGetInfo_v2");
  AllocateFunction allocate = (AllocateFunction)dlsym(library, "cuMemAlloc_v2");
  SetMemoryFunction fill = (SetMemoryFunction)dlsym(library, "cuMemsetD32_v2");
  CopyFunction copy = (CopyFunction)dlsym(library, "cuMemcpyDtoH_v2");
  FreeFunction give_back = (FreeFunction)dlsym(library, "cuMemFree_v2");
  enum { kWords = 1024, kPattern = 0x600d600d };
  static unsigned words[kWords];
  int device = 0;
  void* context = NULL;
  DevicePointer memory = 0;
  size_t total = 0;

  *result = -1;
  if (!get || !retain || !set_context || !release || !info || !allocate || !fill || !copy || !give_back)
    return "a function of CUDA 7";
  if ((*result = get(&device, index)) != kSuccess) return "cuDeviceGet";
  if ((*result = retain(&context, device)) != kSuccess) return "cuDevicePrimaryCtxRetain";
  if ((*result = set_context(context)) != kSuccess) return "cuCtxSetCurrent";
  if ((*result = info(free_bytes, &total)) != kSuccess) return "cuMemGetInfo";
  if ((*result = allocate(&memory, sizeof words)) != kSuccess) return "cuMemAlloc";
  if ((*result = fill(memory, kPattern, kWords)) != kSuccess) return "cuMemsetD32";
  if ((*result = copy(words, memory, sizeof words)) != kSuccess) return "cuMemcpyDtoH";
  for (int i = 0; i < kWords; ++i)
    if (words[i] != kPattern) return "reading back what was written";
  give_back(memory);
  release(device);
  return "";
}

static void try_device(void* library, int index) {
  char line[kLine];
  int result = 0;
  size_t free_bytes = 0;
  say(line, snprintf(line, sizeof line, "{\"event\":\"trying\",\"index\":%d}\n", index));
  const char* call = fill_and_read(library, index, &result, &free_bytes);
  say(line, snprintf(line, sizeof line,
                     "{\"event\":\"tried\",\"index\":%d,\"call\":\"%s\",\"result\":%d,\"free_bytes\":%llu}\n", index,
                     call, result, (unsigned long long)free_bytes));
}

static void say_state(void* library, void* device) {
  NvmlUuidFunction get_uuid = (NvmlUuidFunction)dlsym(library, "nvmlDeviceGetUUID");
  NvmlGetFunction compute_mode = (NvmlGetFunction)dlsym(library, "nvmlDeviceGetComputeMode");
  NvmlMigModeFunction mig_mode = (NvmlMigModeFunction)dlsym(library, "nvmlDeviceGetMigMode");
  NvmlGetFunction most_instances = (NvmlGetFunction)dlsym(library, "nvmlDeviceGetMaxMigDeviceCount");
  NvmlMigHandleFunction instance = (NvmlMigHandleFunction)dlsym(library, "nvmlDeviceGetMigDeviceHandleByIndex");
  NvmlErrorsFunction errors = (NvmlErrorsFunction)dlsym(library, "nvmlDeviceGetTotalEccErrors");
  NvmlRemappedFunction remapped = (NvmlRemappedFunction)dlsym(library, "nvmlDeviceGetRemappedRows");
  NvmlMemoryFunction memory = (NvmlMemoryFunction)dlsym(library, "nvmlDeviceGetMemoryInfo");

  char line[kLine], raw[kNvmlUuid] = "", uuid[2 * kNvmlUuid] = "";
  unsigned value = 0, other = 0, pending = 0, failed = 0;
  unsigned long long count = 0;
  NvmlMemory bytes = {0, 0, 0};
  if (get_uuid && get_uuid(device, raw, sizeof raw - 1) == kSuccess) escape(raw, uuid, (int)sizeof uuid);
  int at = snprintf(line, sizeof line, "{\"event\":\"state\",\"uuid\":\"%s\"", uuid);
  if (compute_mode && compute_mode(device, &value) == kSuccess)
    at += snprintf(line + at, sizeof line - (size_t)at, ",\"compute_mode\":%u", value);
  if (mig_mode && mig_mode(device, &value, &other) == kSuccess) {
    unsigned most = 0, instances = 0;
    void* handle = NULL;
    if (value && most_instances && instance && most_instances(device, &most) == kSuccess)
      for (unsigned i = 0; i < most && i < 64; ++i) instances += instance(device, i, &handle) == kSuccess;
    at += snprintf(line + at, sizeof line - (size_t)at, ",\"mig\":%u,\"instances\":%u", value, instances);
  }
  if (errors && errors(device, kUncorrected, kSinceBoot, &count) == kSuccess)
    at += snprintf(line + at, sizeof line - (size_t)at, ",\"uncorrected\":%llu", count);
  if (remapped && remapped(device, &value, &other, &pending, &failed) == kSuccess)
    at += snprintf(line + at, sizeof line - (size_t)at, ",\"remap_pending\":%u,\"remap_failed\":%u", pending, failed);
  if (memory && memory(device, &bytes) == kSuccess)
    at += snprintf(line + at, sizeof line - (size_t)at, ",\"free_bytes\":%llu", bytes.free);
  at += snprintf(line + at, sizeof line - (size_t)at, "}\n");
  say(line, at);
}

static void ask_management(void* library) {
  NvmlInitFunction init = (NvmlInitFunction)dlsym(library, "nvmlInit_v2");
  NvmlCountFunction device_count = (NvmlCountFunction)dlsym(library, "nvmlDeviceGetCount_v2");
  NvmlHandleFunction handle = (NvmlHandleFunction)dlsym(library, "nvmlDeviceGetHandleByIndex_v2");
  unsigned count = 0;
  void* device = NULL;
  int result = -1;
  say_text("{\"event\":\"init\"}\n");
  if (!init || !device_count || !handle || (result = init()) != kSuccess) return fail("nvmlInit", result);
  say_text("{\"event\":\"initialised\"}\n");
  if ((result = device_count(&count)) != kSuccess) return fail("nvmlDeviceGetCount", result);
  for (unsigned i = 0; i < count && i < 64; ++i)
    if (handle(i, &device) == kSuccess) say_state(library, device);
}

static void ask_driver(void* library) {
  char line[kLine];
  GetIntFunction driver_version = (GetIntFunction)dlsym(library, "cuDriverGetVersion");
  int version = 0;
  int result = driver_version ? driver_version(&version) : -1;
  say(line, snprintf(line, sizeof line, "{\"event\":\"version\",\"result\":%d,\"version\":%d}\n", result, version));

  InitFunction init = (InitFunction)dlsym(library, "cuInit");
  say_text("{\"event\":\"init\"}\n");
  result = init ? init(0) : -1;
  if (result != kSuccess) return fail("cuInit", result);
  say_text("{\"event\":\"initialised\"}\n");

  GetIntFunction device_count = (GetIntFunction)dlsym(library, "cuDeviceGetCount");
  int count = 0;
  result = device_count ? device_count(&count) : -1;
  if (result != kSuccess) return fail("cuDeviceGetCount", result);
  for (int i = 0; i < count && i < 64; ++i) say_device(library, i);
  for (int i = 0; i < count && i < 64; ++i) try_device(library, i);
}

__attribute__((used)) static int probe_main(int argc, char** argv) {
  char line[kLine], message[kLine / 2];
  if (argc != 3) _exit(2);
  say_text("{\"event\":\"loading\"}\n");
  void* library = dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const char* why = dlerror();
    escape(why ? why : "unknown", message, (int)sizeof message);
    say(line, snprintf(line, sizeof line, "{\"event\":\"load_failed\",\"message\":\"%s\"}\n", message));
    _exit(0);
  }
  say_text("{\"event\":\"loaded\"}\n");
  if (argv[1][0] == 'n')
    ask_management(library);
  else
    ask_driver(library);
  say_text("{\"event\":\"done\"}\n");
  _exit(0); /* not exit: the driver's own exit handlers may hang */
}
