#include "app/health.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_S 2

/* A probe talks to its own machine only. */
static int connect_here(uint16_t port)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (socket_fd < 0) return -1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (connect(socket_fd, (const struct sockaddr *)(const void *)&address, sizeof address) == 0) {
        return socket_fd;
    }
    (void)close(socket_fd);
    return -1;
}

int qb_health(const struct qb_settings *settings, const char *argument)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 ";
    char answer[64] = "";
    int socket_fd = connect_here((uint16_t)settings->port);
    ssize_t length = -1;

    (void)argument;
    if (socket_fd >= 0 && send(socket_fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
        length = recv(socket_fd, answer, sizeof answer - 1, MSG_WAITALL);
    }
    if (socket_fd >= 0) (void)close(socket_fd);
    if (length > 0 && strncmp(answer, good, sizeof good - 1) == 0) return 0;
    (void)fprintf(stderr, "quickbid health: no 200 from port %lld; is the server running?\n",
                  (long long)settings->port);
    return 1;
}
