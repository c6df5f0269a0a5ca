"""A certificate for a server of a benchmark, signed by itself."""

import shutil
import subprocess


def missing_certificate():
    return None if shutil.which("openssl") else "not installed: openssl"


def make_certificate(folder, address="127.0.0.1"):
    """Paths of its key and of itself; for the name "bench" and the address."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    if not certificate.exists():
        folder.mkdir(exist_ok=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=bench", "-addext", f"subjectAltName=IP:{address}",
             "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return key, certificate
