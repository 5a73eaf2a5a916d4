/* Stands in for a driver's management library, for the devices of stand_in_libcuda.c. COMPUTE_MODE (of the first
 * device), MIG, INSTANCES, UNCORRECTED, PENDING, FAILED; CRASH. */
#include <stdio.h>
#include <stdlib.h>

#ifndef COMPUTE_MODE
#define COMPUTE_MODE 0
#endif
#ifndef MIG
#define MIG 0
#endif
#ifndef INSTANCES
#define INSTANCES 0
#endif
#ifndef UNCORRECTED
#define UNCORRECTED 0
#endif
#ifndef PENDING
#define PENDING 0
#endif
#ifndef FAILED
#define FAILED 0
#endif

static int devices[2];

int nvmlInit_v2(void) {
#ifdef CRASH
  abort();
#endif
  return 0;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = &devices[index];
  return 0;
}

int nvmlDeviceGetUUID(void* device, char* uuid, unsigned length) {
  const int index = (int)((int*)device - devices);
  int at = snprintf(uuid, length, "GPU");
  for (int i = 0; i < 16; ++i)
    at += snprintf(uuid + at, length - (unsigned)at, "%s%02x",
                   (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "", 16 * i + index);
  return 0;
}

int nvmlDeviceGetComputeMode(void* device, unsigned* mode) {
  *mode = device == devices ? COMPUTE_MODE : 0;
  return 0;
}

int nvmlDeviceGetMigMode(void* device, unsigned* current, unsigned* pending) {
  (void)device;
  *current = *pending = MIG;
  return 0;
}

int nvmlDeviceGetMaxMigDeviceCount(void* device, unsigned* count) {
  (void)device;
  *count = 7;
  return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void* device, unsigned index, void** instance) {
  *instance = device;
  return index < INSTANCES ? 0 : 6; /* NVML_ERROR_NOT_FOUND */
}

int nvmlDeviceGetTotalEccErrors(void* device, int type, int counter, unsigned long long* count) {
  (void)device;
  *count = UNCORRECTED;
  return type == 1 && counter == 0 ? 0 : 2;
}

int nvmlDeviceGetRemappedRows(void* device, unsigned* corrected, unsigned* uncorrected, unsigned* pending,
                              unsigned* failed) {
  (void)device;
  *corrected = *uncorrected = 0;
  *pending = PENDING;
  *failed = FAILED;
  return 0;
}

int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* memory) {
  (void)device;
  memory[0] = 80ull << 30;
  memory[1] = 79ull << 30;
  memory[2] = 1ull << 30;
  return 0;
}
