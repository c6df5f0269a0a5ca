// The identity file: made once, private, the same for everyone who comes at the same time.
#include "transport/identity.hpp"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "base/ptr.hpp"

using namespace p2p;

namespace {

class IdentityFile : public testing::Test {
 protected:
  void SetUp () override {
    UniqueChars made (g_dir_make_tmp ("p2p-identity-XXXXXX", nullptr));
    ASSERT_TRUE (made);
    folder = made.get ();
    path = folder + "/a/b/identity.pem";
  }
  void TearDown () override {
    g_remove (path.c_str ());
    for (const char *part : {"/a/b", "/a", ""}) g_rmdir ((folder + part).c_str ());
  }
  void make (const std::string &content, mode_t mode) {
    ASSERT_EQ (g_mkdir_with_parents ((folder + "/a/b").c_str (), 0700), 0);
    ASSERT_TRUE (g_file_set_contents (path.c_str (), content.data (),
                                      static_cast<gssize> (content.size ()), nullptr));
    ASSERT_EQ (g_chmod (path.c_str (), static_cast<int> (mode)), 0);
  }
  std::string read () {
    char *text = nullptr;
    gsize size = 0;
    EXPECT_TRUE (g_file_get_contents (path.c_str (), &text, &size, nullptr));
    const UniqueChars keep (text);
    return {text, size};
  }
  std::string refusal () {
    auto identity = Identity::load_or_create (path);
    EXPECT_FALSE (identity);
    if (identity) return {};
    EXPECT_EQ (identity.error ().code, P2P_ERROR_IDENTITY);
    EXPECT_NE (identity.error ().message.find (path), std::string::npos);
    return identity.error ().message;
  }
  mode_t mode_of (const std::string &name) {
    struct stat info;
    EXPECT_EQ (stat (name.c_str (), &info), 0);
    return info.st_mode & 07777;
  }

  std::string folder, path;
};

}  // namespace

TEST_F (IdentityFile, IsMadePrivateAndKept) {
  auto first = Identity::load_or_create (path);
  ASSERT_TRUE (first) << first.error ().message;
  EXPECT_EQ (mode_of (path), 0600u);
  EXPECT_EQ (mode_of (folder + "/a"), 0700u);
  EXPECT_EQ (mode_of (folder + "/a/b"), 0700u);
  auto second = Identity::load_or_create (path);
  ASSERT_TRUE (second);
  EXPECT_EQ ((*first)->fingerprint (), (*second)->fingerprint ());
  EXPECT_EQ (*normalize_fingerprint ((*first)->fingerprint ()), (*first)->fingerprint ());
}

TEST_F (IdentityFile, IsPrivateUnderAnyUmask) {
  const mode_t before = umask (0);
  auto open_mask = Identity::load_or_create (path);
  umask (before);
  ASSERT_TRUE (open_mask);
  EXPECT_EQ (mode_of (path), 0600u);
}

TEST_F (IdentityFile, HoldsASelfSignedP256CertificateThatDoesNotExpire) {
  ASSERT_TRUE (Identity::load_or_create (path));
  const std::string pem = read ();
  const gnutls_datum_t datum = {
      reinterpret_cast<unsigned char *> (const_cast<char *> (pem.data ())),
      static_cast<unsigned> (pem.size ())};
  gnutls_x509_crt_t crt = nullptr;
  ASSERT_EQ (gnutls_x509_crt_init (&crt), 0);
  ASSERT_EQ (gnutls_x509_crt_import (crt, &datum, GNUTLS_X509_FMT_PEM), 0);
  gnutls_ecc_curve_t curve{};
  EXPECT_EQ (gnutls_x509_crt_get_pk_ecc_raw (crt, &curve, nullptr, nullptr), 0);
  EXPECT_EQ (curve, GNUTLS_ECC_CURVE_SECP256R1);
  EXPECT_TRUE (gnutls_x509_crt_check_issuer (crt, crt));
  EXPECT_EQ (gnutls_x509_crt_get_expiration_time (crt), GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
  gnutls_x509_crt_deinit (crt);
}

TEST_F (IdentityFile, RefusesAFileThatOthersCanReadAndSaysTheCure) {
  ASSERT_TRUE (Identity::load_or_create (path));
  for (const int mode : {0640, 0604, 0620, 0666}) {
    ASSERT_EQ (g_chmod (path.c_str (), mode), 0);
    EXPECT_NE (refusal ().find ("chmod 600"), std::string::npos);
  }
  ASSERT_EQ (g_chmod (path.c_str (), 0400), 0);
  EXPECT_TRUE (Identity::load_or_create (path));
}

TEST_F (IdentityFile, RefusesWhatIsMalformedAndLeavesItAlone) {
  make ("", 0600);
  EXPECT_NE (refusal ().find ("private key"), std::string::npos);
  make ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0600);
  EXPECT_NE (refusal ().find ("private key"), std::string::npos);
  make (std::string (70000, 'x'), 0600);
  EXPECT_NE (refusal ().find ("64 KiB"), std::string::npos);
  EXPECT_EQ (read ().size (), 70000u);
}

TEST_F (IdentityFile, RefusesAKeyWithoutItsCertificate) {
  ASSERT_TRUE (Identity::load_or_create (path));
  const std::string own = read ();
  const std::size_t split = own.find ("-----BEGIN CERTIFICATE");
  ASSERT_NE (split, std::string::npos);
  make (own.substr (0, split), 0600);
  EXPECT_NE (refusal ().find ("certificate"), std::string::npos);
  g_remove (path.c_str ());
  ASSERT_TRUE (Identity::load_or_create (path));
  const std::string other = read ();
  make (own.substr (0, split) + other.substr (other.find ("-----BEGIN CERTIFICATE")), 0600);
  EXPECT_NE (refusal ().find ("key"), std::string::npos);
}

TEST_F (IdentityFile, RefusesAFolderAndAFifo) {
  ASSERT_EQ (g_mkdir_with_parents (path.c_str (), 0700), 0);
  EXPECT_NE (refusal ().find ("regular file"), std::string::npos);
  ASSERT_EQ (g_rmdir (path.c_str ()), 0);
  ASSERT_EQ (mkfifo (path.c_str (), 0600), 0);
  EXPECT_NE (refusal ().find ("regular file"), std::string::npos);
}

TEST_F (IdentityFile, ProcessesThatStartAtOnceEndWithTheSameIdentity) {
  constexpr int kProcesses = 8;
  int start[2], answers[2];
  ASSERT_EQ (pipe (start), 0);
  ASSERT_EQ (pipe (answers), 0);
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork ();
    ASSERT_GE (child, 0);
    if (child > 0) continue;
    close (start[1]);
    char byte;
    (void)!::read (start[0], &byte, 1);  // returns for all at once, when the parent closes
    auto identity = Identity::load_or_create (path);
    const std::string text = identity ? (*identity)->fingerprint () : std::string (103, '?');
    _exit (write (answers[1], text.data (), text.size ()) == 103 ? 0 : 1);
  }
  close (start[0]);
  close (start[1]);
  close (answers[1]);
  std::set<std::string> seen;
  char text[103];
  std::string all;
  for (ssize_t n; (n = ::read (answers[0], text, sizeof text)) > 0;) {
    all.append (text, static_cast<std::size_t> (n));
  }
  close (answers[0]);
  for (int i = 0; i < kProcesses; ++i) {
    int state = 0;
    ASSERT_GT (wait (&state), 0);
    EXPECT_EQ (state, 0);
  }
  ASSERT_EQ (all.size (), 103u * kProcesses);
  for (int i = 0; i < kProcesses; ++i) seen.insert (all.substr (103u * i, 103));
  EXPECT_EQ (seen.size (), 1u);
  EXPECT_EQ (seen.begin ()->substr (0, 8), "sha-256 ");
  GDir *listing = g_dir_open ((folder + "/a/b").c_str (), 0, nullptr);
  int files = 0;
  while (g_dir_read_name (listing)) ++files;
  g_dir_close (listing);
  EXPECT_EQ (files, 1) << "a temporary file is left";
}

TEST (Identity, EphemeralOnesDiffer) {
  auto a = Identity::create_ephemeral ();
  auto b = Identity::create_ephemeral ();
  ASSERT_TRUE (a && b);
  EXPECT_NE ((*a)->fingerprint (), (*b)->fingerprint ());
}

TEST (Fingerprint, IsAcceptedInEveryCommonForm) {
  std::string plain, colons;
  for (int i = 0; i < 32; ++i) {
    plain += "aB";
    colons += i ? ":AB" : "AB";
  }
  const std::string wanted = "sha-256 " + colons;
  for (const std::string &text :
       {wanted, colons, plain, "sha-256 " + plain, "SHA-256 " + plain, "sha-256:" + colons}) {
    auto normal = normalize_fingerprint (text);
    ASSERT_TRUE (normal) << text;
    EXPECT_EQ (*normal, wanted);
  }
}

TEST (Fingerprint, RefusesEverythingElse) {
  const std::string half (32, 'a');
  for (const std::string &text :
       {std::string (), std::string ("sha-256"), std::string ("sha-256 "), half,
        "sha-1 " + half + half, half + half + "aa", half + half + "a", half + half + " ",
        "sha-256" + half + half, half + half.substr (1) + "g", ":" + half + half,
        half + half + ":"}) {
    auto normal = normalize_fingerprint (text);
    ASSERT_FALSE (normal) << text;
    EXPECT_EQ (normal.error ().code, P2P_ERROR_INVALID_ARGUMENT);
  }
}
