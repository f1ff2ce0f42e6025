/* A disk that fails on command: loaded into a process with LD_PRELOAD, it makes calls on chosen files fail, stop short, be
 * lost, wait or hang.
 *
 *     cc -shared -fPIC -O2 -o inject.so inject.c -ldl
 *     FAULT_FILE=/tmp/faults LD_PRELOAD=./inject.so program
 *
 * The file that FAULT_FILE names holds one rule a line, and is read again whenever it changes (replace it by a rename):
 *
 *     ACTION CALL PATH [after N] [times N]
 *
 *     fail:EIO write state/log/ after 100     the first 100 succeed, every further one fails
 *     fail:ENOSPC write sled/ times 3         three fail
 *     torn write state/log/                   the first half is written, then EIO
 *     short write state/log/                  the first half is written, and that is what the caller is told
 *     lose write state/log/                   nothing is written, the caller is told that all was
 *     fail:EIO sync state/log/                fsync, fdatasync, sync_file_range
 *     delay:200 sync state/                   milliseconds
 *     hang sync state/log/                    until the rule is gone, or for ever
 *
 * CALL is write (write, writev, pwrite), read (read, pread), sync, open, rename or remove. PATH is any part of the file's
 * path; of a rename it is the new one's. The first rule that fits a call is the one that acts. Every rule that acts for
 * the first time appends itself and the path to FAULT_FILE with ".hits" behind its name.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 16
#define TEXT_MAX 512

enum action { NOTHING, FAIL, TORN, SHORT, LOSE, DELAY, HANG };

struct rule {
    char text[TEXT_MAX];    /* the line */
    enum action action;
    int number;             /* errno, or milliseconds */
    char call[16];
    char path[TEXT_MAX];
    long after, times;      /* calls that pass before; calls that it acts on, -1 for all */
    int hit;                /* acted already */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[RULES_MAX];
static int count;
static struct stat seen;

static const struct { const char *name; int number; } ERRORS[] = {
    {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}, {"EACCES", EACCES}, {"EMFILE", EMFILE},
};
static const struct { const char *name; enum action action; } ACTIONS[] = {
    {"fail", FAIL}, {"torn", TORN}, {"short", SHORT}, {"lose", LOSE}, {"delay", DELAY}, {"hang", HANG},
};

/* The next function of that name behind this library. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Reads one line. A line that is no rule ends the process: a test with a typing mistake must not pass. */
static void parse(const char *line)
{
    struct rule *rule = &rules[count];
    char action[32], *number;
    char words[2][16] = {"", ""};
    long values[2] = {0, 0};
    int found;
    size_t i;

    if (count == RULES_MAX) abort();
    memset(rule, 0, sizeof *rule);
    rule->times = -1;
    snprintf(rule->text, sizeof rule->text, "%s", line);
    found = sscanf(line, "%31s %15s %511s %15s %ld %15s %ld", action, rule->call, rule->path, words[0], &values[0],
                   words[1], &values[1]);
    if (found < 3) goto bad;
    number = strchr(action, ':');
    if (number) *number++ = 0;
    for (i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (!strcmp(action, ACTIONS[i].name)) rule->action = ACTIONS[i].action;
    if (number) rule->number = atoi(number);
    for (i = 0; number && i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (!strcmp(number, ERRORS[i].name)) rule->number = ERRORS[i].number;
    for (i = 0; i < 2; i++) {
        if (!strcmp(words[i], "after")) rule->after = values[i];
        else if (!strcmp(words[i], "times")) rule->times = values[i];
        else if (words[i][0]) goto bad;
    }
    if (rule->action == NOTHING || ((rule->action == FAIL || rule->action == DELAY) && !rule->number)) goto bad;
    count++;
    return;
bad:
    fprintf(stderr, "fault injection: this is no rule: %s\n", line);
    abort();
}

/* Reads the rules again when their file has changed. Under the lock. */
static void refresh(const char *name)
{
    struct stat now;
    char line[TEXT_MAX];
    FILE *file;

    if (stat(name, &now)) {
        count = 0;
        memset(&seen, 0, sizeof seen);
        return;
    }
    if (now.st_ino == seen.st_ino && now.st_size == seen.st_size && now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return;
    seen = now;
    count = 0;
    file = fopen(name, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0]) parse(line);
    }
    if (file) fclose(file);
}

/* Notes that a rule acts. Under the lock. */
static void note(const char *name, const struct rule *rule, const char *path)
{
    char hits[PATH_MAX], line[PATH_MAX + TEXT_MAX];
    int file, length;

    snprintf(hits, sizeof hits, "%s.hits", name);
    length = snprintf(line, sizeof line, "%s: %s\n", rule->text, path);
    file = openat(AT_FDCWD, hits, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    /* Not through our own write, which takes the lock. */
    if (syscall(SYS_write, file, line, (size_t)length) < 0) abort();
    close(file);
}

/* What is to happen to this call, and the rule's number. Waits, when it is to wait. */
static enum action decide(const char *call, const char *path, int *number)
{
    static const char *name;
    int waited = 0;

    if (!name) name = getenv("FAULT_FILE");
    if (!name) return NOTHING;
    for (;;) {
        enum action action = NOTHING;
        int i;
        pthread_mutex_lock(&lock);
        refresh(name);
        for (i = 0; i < count && action == NOTHING; i++) {
            struct rule *rule = &rules[i];
            if (strcmp(rule->call, call) || !strstr(path, rule->path)) continue;
            if (!waited && rule->after > 0) {
                rule->after--;
                continue;
            }
            if (!rule->times) continue;
            if (!waited && rule->times > 0) rule->times--;
            action = rule->action;
            *number = rule->number;
            if (!rule->hit) note(name, rule, path);
            rule->hit = 1;
        }
        pthread_mutex_unlock(&lock);
        if (action == DELAY) {
            pause_ms(*number);
            return NOTHING;
        }
        if (action != HANG) return action;
        waited = 1;
        pause_ms(20);
    }
}

/* As decide, for an open file. */
static enum action decide_fd(const char *call, int fd, int *number)
{
    char link[64], path[PATH_MAX];
    ssize_t length;
    int kept = errno;
    enum action action = NOTHING;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length > 0 && path[0] == '/') {
        path[length] = 0;
        action = decide(call, path, number);
    }
    errno = kept;
    return action;
}

/* Carries a decision about `size` bytes out; `part` writes or reads that many of them. */
#define TRANSFER(call, fd, size, part) \
    do { \
        int number = EIO; \
        switch (decide_fd(call, fd, &number)) { \
        case FAIL: errno = number; return -1; \
        case TORN: { size_t n = (size) / 2; if (part < 0) return -1; errno = EIO; return -1; } \
        case SHORT: { size_t n = (size) > 1 ? (size) / 2 : (size); return part; } \
        case LOSE: return (ssize_t)(size); \
        default: { size_t n = (size); return part; } \
        } \
    } while (0)

ssize_t write(int fd, const void *from, size_t size)
{
    REAL(write);
    TRANSFER("write", fd, size, real(fd, from, n));
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at)
{
    REAL(pwrite64);
    TRANSFER("write", fd, size, real(fd, from, n, at));
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    return pwrite64(fd, from, size, at);
}

ssize_t writev(int fd, const struct iovec *from, int parts)
{
    int number = EIO;
    REAL(writev);
    switch (decide_fd("write", fd, &number)) {
    case FAIL: case TORN: case LOSE: errno = number; return -1;
    default: return real(fd, from, parts);
    }
}

ssize_t read(int fd, void *to, size_t size)
{
    REAL(read);
    TRANSFER("read", fd, size, real(fd, to, n));
}

ssize_t pread64(int fd, void *to, size_t size, off64_t at)
{
    REAL(pread64);
    TRANSFER("read", fd, size, real(fd, to, n, at));
}

/* Fails, or goes on with the real call. */
#define PASS(decision, real_call) \
    do { \
        int number = EIO; \
        switch (decision) { \
        case FAIL: case TORN: errno = number; return -1; \
        case LOSE: return 0; \
        default: return real_call; \
        } \
    } while (0)

int fsync(int fd)
{
    REAL(fsync);
    PASS(decide_fd("sync", fd, &number), real(fd));
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    PASS(decide_fd("sync", fd, &number), real(fd));
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned int flags)
{
    REAL(sync_file_range);
    PASS(decide_fd("sync", fd, &number), real(fd, at, size, flags));
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    PASS(decide("rename", to, &number), real(from, to));
}

int unlink(const char *path)
{
    REAL(unlink);
    PASS(decide("remove", path, &number), real(path));
}

/* The mode of an open that may make a file. */
#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = (mode_t)va_arg(rest, int); \
        va_end(rest); \
    }

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    REAL(open64);
    PASS(decide("open", path, &number), real(path, flags, mode));
}

int open(const char *path, int flags, ...)
{
    MODE(flags)
    REAL(open);
    PASS(decide("open", path, &number), real(path, flags, mode));
}
