/* Stands in for a driver's libcuda: the build makes one per behaviour from this file by -D.
 * VERSION, INIT_RESULT, DEVICES, MAJOR, MINOR, GIB; HANG, CRASH and BABBLE change cuInit. Of its trial: FREE_GIB,
 * CONTEXT_RESULT (of the first device), WRONG, STUCK; OLD has no functions for it. COMPATIBLE says that it is made for
 * older kernel drivers. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION 13000
#endif
#ifndef INIT_RESULT
#define INIT_RESULT 0
#endif
#ifndef DEVICES
#define DEVICES 1
#endif
#ifndef MAJOR
#define MAJOR 8
#endif
#ifndef MINOR
#define MINOR 0
#endif
#ifndef GIB
#define GIB 80
#endif

int cuDriverGetVersion(int* version) {
  *version = VERSION;
  return 0;
}

int cuInit(unsigned flags) {
  (void)flags;
#ifdef HANG
  for (;;) pause();
#endif
#ifdef CRASH
  abort();
#endif
#ifdef BABBLE
  puts("[\"not\", \"an object\"]\n{\"event\": 7}\n{\"event\":\"device\",\"index\":\"x\"}\n\xff\xfe{");
  fflush(stdout);
#endif
#ifdef ENVIRONMENT
  if (getenv("LD_LIBRARY_PATH") || getenv("LD_PRELOAD") || !getenv("KEPT")) return 1;
#endif
  return INIT_RESULT;
}

int cuDeviceGetCount(int* count) {
  *count = DEVICES;
  return 0;
}

int cuDeviceGet(int* device, int index) {
  *device = index + 100;
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  snprintf(name, (size_t)size, "Stand-in \"%d\"", device - 100);
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? MAJOR : attribute == 76 ? MINOR : -1;
  return 0;
}

int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  (void)device;
  *bytes = (size_t)GIB << 30;
  return 0;
}

int cuDeviceGetUuid(unsigned char* uuid, int device) {
  for (int i = 0; i < 16; ++i) uuid[i] = (unsigned char)(16 * i + device - 100);
  return 0;
}

#ifndef FREE_GIB
#define FREE_GIB GIB
#endif
#ifndef CONTEXT_RESULT
#define CONTEXT_RESULT 0
#endif

#ifndef OLD
static unsigned memory[1024];

int cuDevicePrimaryCtxRetain(void** context, int device) {
#ifdef STUCK
  for (;;) pause();
#endif
  *context = memory;
  return device == 100 ? CONTEXT_RESULT : 0;
}

int cuCtxSetCurrent(void* context) {
  return context == memory ? 0 : 201;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
  (void)device;
  return 0;
}

int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  *free_bytes = (size_t)FREE_GIB << 30;
  *total = (size_t)GIB << 30;
  return 0;
}

int cuMemAlloc_v2(unsigned long long* pointer, size_t size) {
  *pointer = (unsigned long long)(size_t)memory;
  return size <= sizeof memory ? 0 : 2;
}

int cuMemsetD32_v2(unsigned long long pointer, unsigned value, size_t count) {
  for (size_t i = 0; i < count; ++i) ((unsigned*)(size_t)pointer)[i] = value;
  return 0;
}

int cuMemcpyDtoH_v2(void* to, unsigned long long pointer, size_t size) {
  memcpy(to, (void*)(size_t)pointer, size);
#ifdef WRONG
  ((unsigned*)to)[100] ^= 1;
#endif
  return 0;
}

int cuMemFree_v2(unsigned long long pointer) {
  (void)pointer;
  return 0;
}
#endif

#ifdef COMPATIBLE
/* As NVIDIA's forward compatibility libraries have it. */
__asm__(
    ".pushsection .note.cuda.fwd_compatibility,\"a\",@note\n"
    ".balign 4\n.long 19\n.long 2f-1f\n.long 0\n.asciz \"NVIDIA Corporation\"\n.balign 4\n"
    "1: .ascii \"{\\\"format\\\":1,\\\"CUDA "
    "version\\\":\\\"13.0\\\",\\\"driver\\\":[535,550,570],\\\"device\\\":[1,2]}\"\n"
    "2: .balign 4\n.popsection\n");
#endif
