/*
 * The link to Redis through TLS, as docs/operations.md sets it up: stunnel at both ends, each side
 * proving who it is.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/contract/redis_seen.h"
#include "tests/kit/stack.h"
#include "tests/kit/test.h"

static char folder[] = "/tmp/qb-tunnel-XXXXXX";
static const char *password;
static int server_port;
static int client_port;

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    QB_EXPECT_EQ(bind(fd, (const struct sockaddr *)&address, length), 0, "a port");
    QB_EXPECT_EQ(getsockname(fd, (struct sockaddr *)&address, &length), 0, "its number");
    (void)close(fd);
    return ntohs(address.sin_port);
}

static bool is_listening(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;

    (void)close(fd);
    return is_there;
}

/* An authority and what it signs: `server` for redis.test, `client`, and a stranger's own. */
static void make_certificates(void)
{
    static const char script[] =
        "cd '%s' && umask 077 && new='openssl req -x509 -newkey ec -pkeyopt "
        "ec_paramgen_curve:prime256v1 -nodes -days 2' && (\n"
        "$new -subj /CN=authority -keyout ca.key -out ca.pem\n"
        "for name in server client; do\n"
        "  $new -subj /CN=$name -addext subjectAltName=DNS:redis.test -addext "
        "basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key "
        "-keyout $name.key -out $name.pem || exit 1\n"
        "done\n"
        "$new -subj /CN=stranger -keyout stranger.key -out stranger.pem) >log 2>&1";
    char line[1024];

    (void)snprintf(line, sizeof line, script, folder);
    QB_EXPECT_EQ(system(line), 0, "certificates");
}

/* Starts one end of the tunnel; `rest` are the lines that differ. */
static pid_t start_tunnel(const char *name, int port, const char *rest)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s.conf", folder, name);
    FILE *file = fopen(path, "we");
    QB_EXPECT(file != NULL, path);
    if (file == NULL) exit(1);
    (void)fprintf(
        file,
        "foreground = quiet\nsyslog = no\npid =\noutput = %s/%s.log\nsslVersionMin = TLSv1.2\n"
        "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n[redis]\n"
        "accept = 127.0.0.1:%d\nTIMEOUTclose = 0\nverifyChain = yes\n%s\n",
        folder, name, port, rest);
    (void)fclose(file);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no test leaves one behind */
        (void)execlp("stunnel4", "stunnel4", path, (char *)NULL);
        _exit(127);
    }
    UNTIL(is_listening(port), 10000);
    QB_EXPECT(is_listening(port), "stunnel listens");
    return pid;
}

static void stop_tunnel(pid_t pid)
{
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
}

static pid_t start_server_end(int redis_port)
{
    char rest[512];

    (void)snprintf(rest, sizeof rest,
                   "connect = 127.0.0.1:%d\ncert = %s/server.pem\nkey = %s/server.key\n"
                   "CAfile = %s/ca.pem",
                   redis_port, folder, folder, folder);
    return start_tunnel("server", server_port, rest);
}

static pid_t start_client_end(const char *authority, const char *host)
{
    char rest[512];

    (void)snprintf(rest, sizeof rest,
                   "client = yes\nconnect = 127.0.0.1:%d\ncert = %s/client.pem\n"
                   "key = %s/client.key\nCAfile = %s/%s.pem\ncheckHost = %s",
                   server_port, folder, folder, folder, authority, host);
    return start_tunnel("client", client_port, rest);
}

static void open_link(struct seen *seen)
{
    char address[256];

    (void)snprintf(address, sizeof address, "redis://quickbid:%s@127.0.0.1:%d", password,
                   client_port);
    struct qb_redis_options options = seen_options(seen, address);
    options.must_be_safe = true;
    QB_EXPECT(seen_open(seen, &options), "the address is good");
}

/* Whether a link gets through a client end that trusts `authority` to be `host`. */
static bool gets_through(const char *authority, const char *host)
{
    struct seen seen;
    pid_t client = start_client_end(authority, host);
    open_link(&seen);

    UNTIL(seen.ups + seen.downs > 0, 10000);
    seen_close(&seen);
    stop_tunnel(client);
    return seen.ups > 0;
}

static void carries_and_comes_back(void)
{
    struct seen seen;
    pid_t client = start_client_end("ca", "redis.test");
    open_link(&seen);
    char large[200000];

    UNTIL(seen.ups > 0, 10000);
    QB_EXPECT_EQ(seen.ups, 1, "up through the tunnel");
    (void)memset(large, 'x', sizeof large);
    const char *set[] = {"SET", "qb:{q0}:1:conf", large};
    const size_t lengths[] = {3, strlen(set[1]), sizeof large};
    qb_redis_command(seen.link, 3, set, lengths, seen_answer, &seen);
    qb_redis_command(seen.link, 2, (const char *[]){"GET", set[1]}, NULL, seen_answer, &seen);
    UNTIL(seen.answers == 2, 5000);
    QB_EXPECT_EQ(seen.length, sizeof large, "what goes in comes out");
    stop_tunnel(client);
    UNTIL(seen.downs > 0, 5000);
    QB_EXPECT_EQ(seen.downs, 1, "a broken tunnel is noticed");
    client = start_client_end("ca", "redis.test");
    UNTIL(seen.ups > 1, 10000);
    QB_EXPECT_EQ(seen.ups, 2, "and healed");
    seen_close(&seen);
    stop_tunnel(client);
}

QB_TEST(a_tunnel_carries_the_link_and_lets_nobody_else_in)
{
    char clean[64];

    seen_begin("redis-single");
    QB_EXPECT(mkdtemp(folder) != NULL, "a folder");
    static char url[512];
    (void)snprintf(url, sizeof url, "%s", qb_stack_value("REDIS_URL"));
    int redis_port = (int)strtol(strrchr(url, ':') + 1, NULL, 10);
    *strrchr(url, '@') = '\0';
    password = strrchr(url, ':') + 1;
    make_certificates();
    server_port = free_port();
    client_port = free_port();
    pid_t server = start_server_end(redis_port);
    carries_and_comes_back();
    QB_EXPECT(!gets_through("stranger", "redis.test"), "a server that nobody vouches for");
    QB_EXPECT(!gets_through("ca", "other.test"), "a server of another name");
    QB_EXPECT(gets_through("ca", "redis.test"), "the right one");
    stop_tunnel(server);
    (void)snprintf(clean, sizeof clean, "rm -rf '%s'", folder);
    QB_EXPECT_EQ(system(clean), 0, "cleaned");
    seen_end();
}
