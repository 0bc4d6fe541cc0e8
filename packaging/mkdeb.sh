#!/bin/bash
# Packs a built program as a Debian package, and its bill of materials beside it.
# The same input gives the same bytes.
#   packaging/mkdeb.sh amd64|arm64 VERSION PROGRAM ORT_LIBRARY COMPLETIONS OUT_DIR
# COMPLETIONS is a folder with perch.bash, perch.zsh and perch.fish.
set -euo pipefail
arch=${1:?usage: mkdeb.sh ARCH VERSION PROGRAM ORT_LIBRARY COMPLETIONS OUT_DIR}
version=${2:?} program=${3:?} ort=${4:?} completions=${5:?} out=${6:?}
here=$(dirname "$(realpath "$0")")
top=$(dirname "$here")
: "${SOURCE_DATE_EPOCH:?set it to the time of the source, in seconds since 1970}"
maintainer=${MAINTAINER:?set it to a name and an address, as the Makefile does}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
chmod 755 "$work"

put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$program" usr/bin/perch
put 644 "$ort" usr/lib/perch/libonnxruntime.so.1
put 755 "$here/debian/rollback" usr/lib/perch/rollback
put 755 "$here/debian/image-prepare" usr/lib/perch/image-prepare
put 644 "$top/systemd/perch.service" lib/systemd/system/perch.service
# Enabled by the package itself: it does nothing but after an upgrade that failed.
put 644 "$top/systemd/perch-rollback.service" lib/systemd/system/perch-rollback.service
mkdir -p "$root/lib/systemd/system/multi-user.target.wants"
ln -s ../perch-rollback.service "$root/lib/systemd/system/multi-user.target.wants/perch-rollback.service"
put 644 "$top/systemd/sysusers.conf" usr/lib/sysusers.d/perch.conf
put 644 "$top/systemd/tmpfiles.conf" usr/lib/tmpfiles.d/perch.conf
put 644 "$here/perch.yaml" etc/perch/perch.yaml
# As it came, for whoever has edited the other, and for the rollback.
put 644 "$here/perch.yaml" usr/share/perch/perch.yaml
put 644 "$completions/perch.bash" usr/share/bash-completion/completions/perch
put 644 "$completions/perch.zsh" usr/share/zsh/vendor-completions/_perch
put 644 "$completions/perch.fish" usr/share/fish/vendor_completions.d/perch.fish
put 644 "$here/debian/lintian-overrides" usr/share/lintian/overrides/perch

mkdir -p "$root/usr/share/man/man8" "$root/usr/share/doc/perch" "$out"
gzip -9n <"$here/perch.8" >"$root/usr/share/man/man8/perch.8.gz"
gzip -9n <"$here/licences/onnxruntime-third-party.txt" >"$root/usr/share/doc/perch/onnxruntime-third-party.txt.gz"
gzip -9n >"$root/usr/share/doc/perch/changelog.gz" <<C
perch ($version) unstable; urgency=medium

  * Built from the source of this version; its history tells what changed.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
C
name=perch_${version}_$arch
(cd "$top" && go run ./packaging/bom -program "$(realpath "$program")" -arch "$arch" -version "$version" \
	-copyright "$root/usr/share/doc/perch/copyright" -sbom "$work/sbom.json")

# The library that was pinned is the one that goes in, and the bill says so.
sum=$(sha256sum <"$ort" | cut -d' ' -f1)
grep -q "$sum" "$work/sbom.json" || { echo "mkdeb.sh: $ort has sha256 $sum, which is not what extras.json names for $arch" >&2; exit 65; }

mkdir "$root/DEBIAN"
for script in preinst postinst prerm postrm; do install -m 755 "$here/debian/$script" "$root/DEBIAN/$script"; done
echo /etc/perch/perch.yaml >"$root/DEBIAN/conffiles"
# By hand: no tool reads the Depends of a program for another architecture. The
# figures are those of cross/check.sh; libonnxruntime needs libstdc++.
cat >"$root/DEBIAN/control" <<C
Package: perch
Version: $version
Architecture: $arch
Section: video
Priority: optional
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: libc6 (>= 2.34), libgcc-s1, libstdc++6 (>= 8), libglib2.0-0 (>= 2.72), libgstreamer1.0-0 (>= 1.20.0), libgstreamer-plugins-base1.0-0 (>= 1.20.0), gstreamer1.0-plugins-base, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, systemd (>= 249), passwd
Recommends: ca-certificates, gstreamer1.0-libav, gstreamer1.0-plugins-ugly
Description: video inference appliance: cameras in, results out
 Perch captures video from network, USB and ribbon-cable cameras with
 GStreamer, runs neural networks on it with ONNX Runtime, keeps the results
 in a database, tells an MQTT broker and shows the pictures live in a
 browser.
 .
 It runs on NVIDIA Jetson (JetPack 6 and newer) and on PCs. ONNX Runtime's
 library for the CPU is inside; a build for the GPU in /usr/lib/perch/gpu
 is preferred.
C
(cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path ./etc/perch/perch.yaml -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -print0 | xargs -0 touch -hd "@$SOURCE_DATE_EPOCH"
# xz: Ubuntu's default, zstd, is not read everywhere. One thread: the number of
# them changes the bytes.
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$out/$name.deb" >/dev/null
install -m 644 "$work/sbom.json" "$out/$name.cdx.json"
echo "$out/$name.deb"
