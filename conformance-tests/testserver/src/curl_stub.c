/* Stands in for libcurl with the symbol version that binaries built on Debian 9 ask for.
   mongod calls curl only for monitoring in the cloud, which test servers do not use; a transfer
   therefore fails with "could not connect". */
#include <stddef.h>

struct version_info {
    int age;
    const char *version;
    unsigned version_number;
    const char *host;
    int features;
    const char *ssl_version;
    long ssl_version_number;
    const char *libz_version;
    const char *const *protocols;
    const char *ares;
    int ares_number;
    const char *libidn;
};

static const char *const protocols[] = {"https", NULL};
/* Features: SSL and asynchronous name resolution, without which mongod does not start. */
static struct version_info info = {
    3, "7.52.1", 0x073401, "stub", (1 << 2) | (1 << 7), "OpenSSL/1.1", 0, "1.2", protocols, NULL, 0, NULL};
static int handle[64];

void *curl_version_info(int age) { return &info; }
int curl_global_init(long flags) { return 0; }
void curl_global_cleanup(void) {}
void *curl_share_init(void) { return handle; }
int curl_share_setopt(void *share, int option, ...) { return 0; }
int curl_share_cleanup(void *share) { return 0; }
void *curl_easy_init(void) { return handle; }
void *curl_easy_duphandle(void *easy) { return handle; }
void curl_easy_cleanup(void *easy) {}
int curl_easy_setopt(void *easy, int option, ...) { return 0; }
int curl_easy_perform(void *easy) { return 7; }
int curl_easy_getinfo(void *easy, int field, ...) { return 43; }
const char *curl_easy_strerror(int code) { return "transfers are not available"; }
void *curl_slist_append(void *list, const char *text) { return handle; }
void curl_slist_free_all(void *list) {}
