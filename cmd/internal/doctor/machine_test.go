package doctor

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine makes a root folder with these files in it.
func machine(t *testing.T, files map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Host{Root: root}
}

func TestBoard(t *testing.T) {
	const orin = "NVIDIA Jetson Orin Nano Developer Kit\x00"
	release := func(r, rev string) string {
		return "# R" + r + " (release), REVISION: " + rev + ", GCID: 38968081, BOARD: generic, EABI: aarch64\n"
	}
	for name, tt := range map[string]struct {
		model, release string
		status         Status
		words          []string
	}{
		"PC":           {"", "", Good, []string{"no Jetson", "cores"}},
		"Raspberry Pi": {"Raspberry Pi 5\x00", "", Good, []string{"Raspberry Pi 5,"}},
		"JetPack 6":    {orin, release("36", "4.3"), Good, []string{"Orin Nano Developer Kit, JetPack 6.2 (Jetson Linux 36.4.3), "}},
		"JetPack 7":    {orin, release("38", "2.0"), Good, []string{"JetPack 7.0 (Jetson Linux 38.2.0)"}},
		"JetPack 6.1":  {orin, release("36", "4.0"), Good, []string{"JetPack 6.1 (Jetson Linux 36.4.0)"}},
		"an update":    {orin, release("36", "4.7"), Good, []string{"JetPack 6 (Jetson Linux 36.4.7)"}},
		"one to come":  {orin, release("36", "40.1"), Good, []string{"JetPack 6 (Jetson Linux 36.40.1)"}},
		"a far future": {orin, release("44", "1.0"), Good, []string{", Jetson Linux 44.1.0,"}},
		"JetPack 5":    {orin, release("35", "4.1"), Missing, []string{"35.4.1", "JetPack 6 or newer"}},
		"other Linux":  {orin, "", Warning, []string{"not NVIDIA's Linux"}},
		"strange":      {orin, "hello", Warning, []string{"cannot be understood"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"proc/device-tree/model": tt.model}
			if tt.release != "" {
				files["etc/nv_tegra_release"] = tt.release
			}
			expect(t, machine(t, files).Board(), tt.status, tt.words...)
		})
	}
}

func TestPower(t *testing.T) {
	const conf = "# comment\n< PARAM TYPE=FILE NAME=CPU_ONLINE >\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >\n"
	at := func(conf, status string) Host {
		files := map[string]string{"etc/nvpmodel.conf": conf}
		if status != "" {
			files["var/lib/nvpmodel/status"] = status
		}
		return machine(t, files)
	}
	expect(t, at(conf, "pmode:0002 fmode:quiet\n").Power(), Good, "MAXN_SUPER (2); others: 15W (0), 25W (1), by sudo nvpmodel -m")
	expect(t, at(conf, "pmode:0000").Power(), Good, "15W (0)")
	expect(t, at(conf, "").Power(), Good, "25W (1)")
	expect(t, at(conf, "pmode:0007").Power(), Warning, "says which", "sudo nvpmodel -q")
	expect(t, at("< POWER_MODEL ID=0 NAME=15W >\n", "pmode:0000").Power(), Good, "15W (0)")
	expect(t, at("nonsense", "").Power(), Warning, "says which")
	if found := machine(t, nil).Power().Do(t.Context()); found != nil {
		t.Errorf("a PC has a power mode: %+v", found)
	}
}

func TestMemory(t *testing.T) {
	const info = "MemTotal:        7807000 kB\nMemFree:          100000 kB\nMemAvailable:    %s kB\nSwapTotal:       3900000 kB\n"
	at := func(available string) Host {
		return machine(t, map[string]string{"proc/meminfo": strings.Replace(info, "%s", available, 1)})
	}
	expect(t, at("4194304").Memory(), Good, "4.0 GiB available of 7.4 GiB, 3.7 GiB of swap")
	expect(t, at("204800").Memory(), Warning, "200.0 MiB available", "multi-user.target")
	expect(t, at("x").Memory(), Warning, "does not say")
	expect(t, machine(t, nil).Memory(), Warning, "does not say")
}

func TestUDPBuffer(t *testing.T) {
	at := func(v string) Host { return machine(t, map[string]string{"proc/sys/net/core/rmem_max": v + "\n"}) }
	expect(t, at("212992").UDPBuffer(), Warning, "208.0 KiB", "sysctl --system", "transport to tcp")
	expect(t, at("524288").UDPBuffer(), Good, "512.0 KiB")
	expect(t, machine(t, nil).UDPBuffer(), Warning, "does not say")
}

func TestTemperature(t *testing.T) {
	zones := map[string]string{
		"sys/class/thermal/thermal_zone0/type":              "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":              "61500\n",
		"sys/class/thermal/thermal_zone0/trip_point_0_type": "critical\n",
		"sys/class/thermal/thermal_zone0/trip_point_0_temp": "60000\n",
		"sys/class/thermal/thermal_zone0/trip_point_1_type": "passive\n",
		"sys/class/thermal/thermal_zone0/trip_point_1_temp": "99000\n",
		"sys/class/thermal/thermal_zone1/type":              "gpu-thermal\n",
		"sys/class/thermal/thermal_zone1/temp":              "70000\n",
		"sys/class/thermal/thermal_zone2/type":              "off\n",
		"sys/class/thermal/thermal_zone2/temp":              "-256000\n",
		"sys/class/thermal/thermal_zone3/type":              "silent\n",
	}
	expect(t, machine(t, zones).Temperature(), Good, "70 °C in gpu-thermal", "slows down at 85 °C")
	zones["sys/class/thermal/thermal_zone0/temp"] = "99500\n"
	expect(t, machine(t, zones).Temperature(), Warning, "100 °C in cpu-thermal", "slows down at 99 °C", "give it air")
	expect(t, machine(t, nil).Temperature(), Good, "no sensor")
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	plain, synced := machine(t, nil), machine(t, map[string]string{"run/systemd/timesync/synchronized": ""})
	for name, tt := range map[string]struct {
		host   Host
		now    time.Time
		kernel bool
		err    error
		status Status
		words  string
	}{
		"kernel":              {plain, now, true, nil, Good, "2026-03-04 05:06:07 UTC, synchronised, within 20ms"},
		"no longer":           {synced, now, false, nil, Warning, "no longer synchronised, though systemd-timesyncd"},
		"nobody":              {plain, now, false, nil, Warning, "timedatectl set-ntp true"},
		"1970":                {synced, time.Unix(60, 0), true, nil, Missing, "1970-01-01 00:01:00"},
		"no permission":       {plain, now, false, syscall.EPERM, Warning, "may not be asked here (operation not permitted)"},
		"refused, but synced": {synced, now, false, syscall.EPERM, Warning, "may not be asked here"},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.host.clock(tt.now, tt.kernel, 20*time.Millisecond, tt.err)
			if f[0].Status != tt.status || !strings.Contains(f[0].Found+f[0].Hint, tt.words) {
				t.Errorf("%+v", f)
			}
		})
	}
	look(t, Host{Root: "/"}.Clock()) // whatever this machine says, it says something whole
}

func TestSpace(t *testing.T) {
	dir := t.TempDir()
	f := look(t, Space("data_dir", filepath.Join(dir, "not", "yet")))
	if !strings.Contains(f[0].Found, "free of") || f[0].Name != "space for data_dir" {
		t.Errorf("%+v", f)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, Space("data_dir", filepath.Join(file, "below")), Missing, "not a directory")
	for _, tt := range []struct {
		free, freeInodes, inodes uint64
		status                   Status
		words                    string
	}{
		{10 << 30, 5000, 9000, Good, "10.0 GiB free of 16.0 GiB at /x"},
		{10 << 30, 0, 0, Good, "10.0 GiB"},
		{500 << 20, 5000, 9000, Warning, "storage.max_size"},
		{1000, 5000, 9000, Missing, "1000 B free"},
		{10 << 30, 3, 9000, Missing, "only 3 more files"},
	} {
		if f := space("data_dir", "/x", tt.free, 16<<30, tt.freeInodes, tt.inodes); f[0].Status != tt.status || !strings.Contains(f[0].Found+f[0].Hint, tt.words) {
			t.Errorf("%+v", f)
		}
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	expect(t, Writable("data_dir", dir), Good, "can be written to")
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the check left %v", left)
	}
	expect(t, Writable("data_dir", filepath.Join(dir, "new", "folder")), Good, "will be made")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, Writable("data_dir", file), Missing, "not a folder")
	expect(t, Writable("data_dir", filepath.Join(file, "x")), Missing, "not a folder")
	if os.Getuid() == 0 {
		return // root may write everywhere
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	expect(t, Writable("data_dir", dir), Missing, "cannot be written to by", "sudo -u perch perch doctor")
	expect(t, Writable("data_dir", filepath.Join(dir, "x")), Missing, "cannot be made", "sudo install -d")
}

func TestDevices(t *testing.T) {
	expect(t, machine(t, nil).Cameras(), Good, "only network cameras")
	expect(t, machine(t, nil).GPU(), Good, "on the CPU")
	h := machine(t, map[string]string{"dev/video0": "", "dev/video1": "", "dev/dri/renderD128": "", "dev/nvidia0": "", "dev/nvidia-modeset": ""})
	expect(t, h.Cameras("/dev/video1"), Good, "/dev/video0, /dev/video1")
	expect(t, h.GPU(), Good, "/dev/nvidia0, /dev/dri/renderD128")
	f := look(t, h.Cameras("/dev/video7", "/dev/video0"))
	if len(f) != 2 || f[0].Status != Missing || !strings.Contains(f[0].Found, "/dev/video7") || f[1].Status != Good {
		t.Errorf("%+v", f)
	}
	if os.Getuid() == 0 {
		return // root may use every device
	}
	for name, mode := range map[string]os.FileMode{"dev/video0": 0o060, "dev/video1": 0} {
		if err := os.Chmod(filepath.Join(h.Root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	f = look(t, h.Cameras())
	if len(f) != 2 || f[0].Status != Missing || !strings.Contains(f[1].Hint, "usermod -aG") {
		t.Errorf("%+v", f)
	}
}

func TestGroupOf(t *testing.T) {
	h := machine(t, map[string]string{"dev/video0": ""})
	path := filepath.Join(h.Root, "dev/video0")
	for mode, want := range map[os.FileMode]bool{0o660: true, 0o600: false, 0o640: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := groupOf(path); (got != "") != want {
			t.Errorf("%o: group %q", mode, got)
		}
	}
	if groupOf(path+"x") != "" {
		t.Error("a node that is not there has a group")
	}
}

func TestPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	expect(t, Port("http.listen", addr), Warning, "is taken", "sport = :"+port)
	l.Close()
	expect(t, Port("http.listen", addr), Good, "is free")
	expect(t, Port("http.listen", "192.0.2.1:8080"), Missing, "not an address of this machine")
	expect(t, Port("http.listen", "nonsense"), Missing, "host:port")
}
