/*
 * A disk that fails on demand. Preloaded into a program, this stands between the program and the system calls that
 * change files. What is to happen lies in a file that both sides have in memory, so that switching costs nothing: the
 * other side is tests/support/faulty.py, which explains the actions. For Linux: it finds files in /proc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum action { NOTHING, FAIL, PART, TEAR, KILL, CUT };
enum call { WRITE = 1, SYNC = 2, RESIZE = 4 };
enum { TEXT = 256, PATH = 4096, SECTOR = 512 };

struct control {
  _Atomic int64_t action;
  int64_t calls;           /* the kinds of call that are counted and may meet the fault */
  int64_t error;           /* the errno of what fails */
  int64_t unsynced;        /* but only while so many bytes were written since the last sync of any file */
  int64_t after;           /* so many of them are let through first, */
  int64_t count;           /* and so many then meet the fault */
  int64_t seed;
  int64_t number;          /* of this fault: another for each that begins */
  _Atomic int64_t pending; /* how many bytes were written since the last sync */
  _Atomic int64_t seen;    /* how many calls were counted */
  _Atomic int64_t hits;    /* how many met the fault */
  int64_t hit_call;        /* the kind of the last of those */
  int64_t hit_pending;     /* and how many bytes were not synced when it came */
  char files[TEXT];        /* which files, as a pattern of fnmatch */
  char hit_file[TEXT];     /* the one that the last of those was for, its path cut off if that is long */
};

/* A call, whether it is for one of the files, and what becomes of it; the step makes its chance. */
struct met {
  enum action action;
  int watched;
  uint64_t step;
  char path[PATH];
};

/* What was in the place of a write that is not synced yet. */
struct old {
  struct old *older;
  int64_t number; /* of the fault in whose time that was: syncs are seen only while there is one */
  dev_t device;
  ino_t inode;
  off_t at;
  size_t size;
  char path[PATH];
  unsigned char data[];
};

static struct control *control;
static struct old *unsynced;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("FAULTS_CONTROL");
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared != MAP_FAILED) control = shared;
  close(fd);
}

/* splitmix64, by Sebastiano Vigna: the same number for the same seed and step, whatever other threads do. */
static uint64_t chance(uint64_t step) {
  uint64_t z = (uint64_t)control->seed + (step + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Find out which file a call is for, and whether it meets the fault. */
static void meet(struct met *met, enum call kind, int fd) {
  char link[64];
  met->action = NOTHING, met->watched = 0;
  if (control == NULL || control->action == NOTHING) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, met->path, PATH - 1);
  if (size < 0) return;
  met->path[size] = 0;
  if (fnmatch(control->files, met->path, 0)) return;
  met->watched = 1;
  if (!(control->calls & kind) || control->pending < control->unsynced) return;
  int64_t number = atomic_fetch_add(&control->seen, 1);
  if (number < control->after || number - control->after >= control->count) return;
  met->action = (enum action)control->action;
  met->step = (uint64_t)number;
  control->hit_call = kind, control->hit_pending = control->pending;
  snprintf(control->hit_file, TEXT, "%.*s", TEXT - 1, met->path);
  atomic_fetch_add(&control->hits, 1);
}

/* Keep what a write will replace: nothing of it may be on the disk before the file is synced. */
static void keep(const struct met *met, int fd, size_t size, off_t at) {
  struct stat file;
  struct old *old = calloc(1, sizeof *old + size);
  if (old == NULL || fstat(fd, &file)) abort();
  old->number = control->number, old->device = file.st_dev, old->inode = file.st_ino;
  old->at = at < 0 ? lseek(fd, 0, SEEK_CUR) : at, old->size = size;
  strcpy(old->path, met->path);
  pread(fd, old->data, size, old->at); /* beyond the end of the file there were zeros */
  pthread_mutex_lock(&lock);
  old->older = unsynced, unsynced = old;
  pthread_mutex_unlock(&lock);
}

/* Forget what was kept of a file that is synced now. */
static void forget(int fd) {
  struct stat file;
  if (fstat(fd, &file)) abort();
  pthread_mutex_lock(&lock);
  for (struct old **at = &unsynced, *old; (old = *at) != NULL;) {
    if (old->device != file.st_dev || old->inode != file.st_ino) {
      at = &old->older;
      continue;
    }
    *at = old->older;
    free(old);
  }
  pthread_mutex_unlock(&lock);
}

/* Put back what some sectors held before a write that was not synced; which ones is chance. */
static uint64_t put_back(const struct old *old, int fd, uint64_t step) {
  for (size_t at = 0; at < old->size; at += SECTOR) {
    size_t size = old->size - at < SECTOR ? old->size - at : SECTOR;
    if (chance(++step) & 1) syscall(SYS_pwrite64, fd, old->data + at, size, old->at + (off_t)at);
  }
  return step;
}

/* Lose what was not synced, as when the power is cut. */
static void lose(uint64_t step) {
  pthread_mutex_lock(&lock); /* for good: no thread goes on */
  for (const struct old *old = unsynced; old != NULL; old = old->older) {
    struct stat file;
    int fd = old->number == control->number ? open(old->path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) continue; /* deleted meanwhile, or long since synced */
    if (!fstat(fd, &file) && file.st_dev == old->device && file.st_ino == old->inode) step = put_back(old, fd, step);
    close(fd);
  }
}

/* Do to a call what is not the same for every kind of call: die, or return that it failed. */
static int struck(const struct met *met) {
  if (met->action == CUT) lose(met->step);
  if (met->action == CUT || met->action == KILL) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  errno = (int)control->error;
  return -1;
}

static ssize_t real_write(int fd, const void *data, size_t size, off_t at) {
  return at < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, at);
}

static ssize_t faulty_write(int fd, const void *data, size_t size, off_t at) {
  struct met met;
  meet(&met, WRITE, fd);
  if (met.watched) control->pending += (int64_t)size;
  if (met.watched && control->action == CUT) keep(&met, fd, size, at);
  if (met.action == NOTHING) return real_write(fd, data, size, at);
  uint64_t random = chance(met.step);
  if (met.action == PART) return real_write(fd, data, size < 2 ? size : 1 + random % (size - 1), at);
  if (met.action != FAIL) real_write(fd, data, random % (size + 1), at);
  return struck(&met);
}

/* A sync or resize is done or not done, but never in part: one that is to be cut short is done. */
static int faulty_call(enum call kind, int fd, long number, long first, long second, long third) {
  struct met met;
  meet(&met, kind, fd);
  if (met.watched && kind == SYNC) control->pending = 0;
  if (met.action == FAIL || (met.action != NOTHING && met.action != PART && chance(met.step) & 1)) return struck(&met);
  int result = (int)syscall(number, fd, first, second, third);
  if (met.watched && kind == SYNC && result == 0) forget(fd);
  return met.action == NOTHING || met.action == PART ? result : struck(&met);
}

ssize_t write(int fd, const void *data, size_t size) { return faulty_write(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return faulty_write(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return faulty_write(fd, data, size, at); }
int fsync(int fd) { return faulty_call(SYNC, fd, SYS_fsync, 0, 0, 0); }
int fdatasync(int fd) { return faulty_call(SYNC, fd, SYS_fdatasync, 0, 0, 0); }
int ftruncate(int fd, off_t size) { return faulty_call(RESIZE, fd, SYS_ftruncate, size, 0, 0); }
int ftruncate64(int fd, off64_t size) { return faulty_call(RESIZE, fd, SYS_ftruncate, size, 0, 0); }

int fallocate(int fd, int mode, off_t at, off_t size) {
  return faulty_call(RESIZE, fd, SYS_fallocate, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  return faulty_call(RESIZE, fd, SYS_fallocate, mode, at, size);
}
