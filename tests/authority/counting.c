/* A PKCS#11 module that passes every call on to another one, and writes down each digest before it is signed.
 * A question for a signature's length, and the signature asked for so, prove that a key is the right one: python-pkcs11
 * asks that way, and certificates are not signed so. They are not written down. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_t;
typedef struct { unsigned char version[2]; void *call[68]; } functions_t;
typedef ulong_t (*sign_t)(ulong_t, unsigned char *, ulong_t, unsigned char *, ulong_t *);

static functions_t ours;
static sign_t sign;
static int written = -1;
static unsigned char asked[4096];

static ulong_t counted(ulong_t session, unsigned char *digest, ulong_t length, unsigned char *signature, ulong_t *size)
{
    if (signature == NULL)
        asked[session % sizeof asked] = 1;
    else if (asked[session % sizeof asked])
        asked[session % sizeof asked] = 0;
    else if (length != 32 || write(written, digest, 32) != 32)
        abort();
    return sign(session, digest, length, signature, size);
}

ulong_t C_GetFunctionList(functions_t **functions)
{
    functions_t *theirs;
    if (written < 0) {
        void *library = dlopen(getenv("COUNTED_MODULE"), RTLD_NOW);
        ulong_t (*get)(functions_t **) = (ulong_t (*)(functions_t **)) dlsym(library, "C_GetFunctionList");
        if (get(&theirs) != 0)
            return 5;
        ours = *theirs;
        sign = (sign_t) ours.call[43];
        ours.call[43] = (void *) counted;
        written = open(getenv("COUNTED_FILE"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    }
    *functions = &ours;
    return written < 0 ? 5 : 0;
}
