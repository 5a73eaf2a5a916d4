/* Stands in for a driver's libcuda: the build makes one per behaviour from this file by -D.
 * VERSION, INIT_RESULT, DEVICES, MAJOR, MINOR, GIB; HANG, CRASH and BABBLE change cuInit. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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
