#include "net/listener.h"

#include "base/check.h"
#include "net/health.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_MODE_DEFAULT 0660u

static enum error set_options(int fd, const struct listener *listener, struct listener_options options)
{
	int on = 1;
	int only_v6 = !listener->dual_stack;
	int family = listener->address.ss_family;
	/* Accepted sockets inherit TCP_NODELAY: one system call a connection saved. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return ERROR_SYSTEM;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6)) != 0)
		return ERROR_SYSTEM;
	if (options.idle_s != 0)
		health_configure(fd, options.idle_s);
	int defer_s = options.defer_accept_s;
	if (defer_s > 0 && setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s)) != 0)
		return ERROR_SYSTEM;
	return ERROR_OK;
}

/* The URL as it is now known, with the port that was chosen for port 0. */
static void name_bound_address(struct listener *listener)
{
	struct sockaddr_storage bound = {0};
	socklen_t size = sizeof(bound);
	CHECK(getsockname(listener->fd, (struct sockaddr *)&bound, &size) == 0);
	listener_write_url(listener, (struct sockaddr *)&bound, size);
}

static bool bind_internet(int fd, const struct listener *listener, struct listener_options options)
{
	return set_options(fd, listener, options) == ERROR_OK &&
	       bind(fd, (const struct sockaddr *)&listener->address, listener->address_bytes) == 0;
}

/* ---- unix sockets ---- */

/* Whether a server listens on the socket, or what errno says of the file. One that is bound and does not listen yet is
 * taken for one that was left behind: it finds out in listener_listen(). */
static bool somebody_listens(const struct listener *listener)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool taken = connect(fd, (const struct sockaddr *)&listener->address, listener->address_bytes) == 0 ||
		     errno == EAGAIN; /* so many wait for it already */
	int why = errno;
	close(fd);
	errno = why;
	return taken;
}

/* Removes the file of a socket that nobody listens on any more. False: errno says what is in the way. */
static bool make_way(const struct listener *listener)
{
	struct stat status;
	if (lstat(listener->path, &status) != 0)
		return errno == ENOENT;
	if (!S_ISSOCK(status.st_mode)) {
		errno = EEXIST;
		return false;
	}
	if (somebody_listens(listener)) {
		errno = EADDRINUSE;
		return false;
	}
	return errno == ECONNREFUSED && unlink(listener->path) == 0;
}

static bool note_file(struct listener *listener)
{
	struct stat status;
	if (lstat(listener->path, &status) != 0)
		return false;
	listener->file[0] = status.st_dev;
	listener->file[1] = status.st_ino;
	return true;
}

static bool owns_file(const struct listener *listener)
{
	struct stat status;
	return lstat(listener->path, &status) == 0 && listener->file[0] == status.st_dev &&
	       listener->file[1] == status.st_ino;
}

/* The file is never open to more than `mode` allows, not for a moment: hence the umask. */
static bool bind_unix(int fd, struct listener *listener, struct listener_options options)
{
	if (!make_way(listener))
		return false;
	mode_t mode = options.mode != 0 ? options.mode : UNIX_MODE_DEFAULT;
	mode_t before = umask(0777);
	bool bound = bind(fd, (const struct sockaddr *)&listener->address, listener->address_bytes) == 0;
	umask(before);
	if (!bound || !note_file(listener))
		return false;
	if ((options.owner == (uid_t)-1 && options.group == (gid_t)-1) ||
	    lchown(listener->path, options.owner, options.group) == 0) {
		if (chmod(listener->path, mode) == 0)
			return true;
	}
	int why = errno;
	listener_unlink(listener);
	errno = why;
	return false;
}

void listener_unlink(const struct listener *listener)
{
	if (listener->scheme == LISTENER_UNIX && owns_file(listener))
		unlink(listener->path);
}

/* ---- any ---- */

enum error listener_open(struct listener *listener, struct listener_options options)
{
	CHECK(listener->fd < 0 && listener->address_bytes != 0);
	bool is_unix = listener->scheme == LISTENER_UNIX;
	int fd = socket(listener->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERROR_SYSTEM;
	bool bound = is_unix ? bind_unix(fd, listener, options) : bind_internet(fd, listener, options);
	if (!bound || (!options.waits && listen(fd, options.backlog) != 0)) {
		int why = errno;
		if (bound)
			listener_unlink(listener);
		close(fd);
		errno = why;
		return ERROR_SYSTEM;
	}
	listener->fd = fd;
	if (!is_unix)
		name_bound_address(listener);
	return ERROR_OK;
}

enum error listener_listen(const struct listener *listener, int backlog)
{
	CHECK(listener->fd >= 0);
	/* Another process may have taken the file away, as one that nobody listened on. */
	if (listener->scheme == LISTENER_UNIX && !owns_file(listener)) {
		errno = EADDRINUSE;
		return ERROR_SYSTEM;
	}
	return listen(listener->fd, backlog) == 0 ? ERROR_OK : ERROR_SYSTEM;
}

void listener_close(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

void listener_close_copy(const struct listener *listener)
{
	CHECK(listener->fd >= 0);
	close(listener->fd);
}

enum listener_result listener_accept(const struct listener *listener, int *fd, struct sockaddr_storage *peer)
{
	CHECK(listener->fd >= 0);
	socklen_t size = sizeof(*peer);
	*peer = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	*fd = accept4(listener->fd, (struct sockaddr *)peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (*fd >= 0)
		return LISTENER_ACCEPTED;
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		return LISTENER_SHORT;
	return errno == ECONNABORTED || errno == EINTR ? LISTENER_AGAIN : LISTENER_EMPTY;
}
