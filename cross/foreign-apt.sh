# shellcheck shell=bash
# Read by other scripts: apt for another architecture, in a folder of its own, so
# that this machine's packages and lists stay as they are.

# foreign_apt DIR ARCH SUITE MIRROR defines apt_arm64, after reading the lists.
foreign_apt() {
	local dir=$1 arch=$2 suite=$3 mirror=$4
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -f "$keys" ] || { echo "the keys of Debian's archive are missing: apt-get install debian-archive-keyring" >&2; return 69; }
	mkdir -p "$dir"/{lists/partial,cache/archives/partial,etc/apt.conf.d,etc/preferences.d,etc/trusted.gpg.d}
	: >"$dir/status"
	echo "deb [arch=$arch signed-by=$keys] $mirror $suite main" >"$dir/etc/sources.list"
	cat >"$dir/apt.conf" <<-C
		Dir::Etc "$dir/etc";
		Dir::Etc::sourceparts "/dev/null";
		Dir::State "$dir";
		Dir::State::Lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "root";
		APT::Install-Recommends "0";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		#clear DPkg::Post-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	C
	foreign_apt_conf=$dir/apt.conf
	apt_arm64 update
}

apt_arm64() { APT_CONFIG=$foreign_apt_conf apt-get -qq -o Debug::NoLocking=1 "$@"; }

# relative_links DIR makes absolute links point into DIR.
relative_links() {
	local link to
	find "$1" -type l -lname '/*' -print | while read -r link; do
		to=$(readlink "$link")
		ln -snf "$(realpath -ms --relative-to="$(dirname "$link")" "$1$to")" "$link"
	done
}
