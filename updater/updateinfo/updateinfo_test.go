package updateinfo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/internal/distro"
	"oriel/internal/feed/feedtest"
)

func TestUpdateInfo(t *testing.T) {
	data := feedtest.Fixture(t, "updateinfo", "amazon2.xml")
	found, skipped, err := feedtest.Collect(Parse(bytes.NewReader(data), distro.Release{}))
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Equal(t, []string{
		"amzn:2 CVE-2021-44228 binary:log4j-cve-2021-44228-hotpatch <0:1.1-1.amzn2 equals(noarch) Critical [ALAS2-2021-1732]",
	}, found)
}

func TestUpdateInfo_Records(t *testing.T) {
	const doc = `<updates>
		<update type="security"><id>ALAS-1</id><title>Amazon Linux AMI - ALAS-1</title><severity>low</severity>
		<pkglist><collection><package arch="i686" name="a" version="1" release="2.amzn1" epoch="3"/><package arch="x86_64" name="a" version="1"/>
		<package arch="x86_64" name="a" version="1"/><package arch="x86_64" name="b"/></collection></pkglist></update>
		<update type="security"><id>X-1</id><title>Elsewhere</title><pkglist><collection><name>Nowhere 1</name><package arch="x86_64" name="a" version="1"/></collection></pkglist></update>
		<update type="security"><id>X-2</id><title>Amazon Linux 2023 - X-2</title></update></updates>`
	found, skipped, err := feedtest.Collect(Parse(strings.NewReader(doc), distro.Release{}))
	require.NoError(t, err)
	require.Len(t, skipped, 3, "%q", skipped)
	require.Equal(t, []string{
		"amzn:2018.03 ALAS-1 binary:a <0:1 equals(x86_64) Low",
		"amzn:2018.03 ALAS-1 binary:a <3:1-2.amzn1 equals(i686) Low",
	}, found)
}

func TestExtraOf(t *testing.T) {
	for id, want := range map[string]string{
		"ALAS2PHP8.2-2024-005": "php8.2", "ALASKERNEL-5.10-2022-018": "kernel-5.10", "ALASPOSTGRESQL14-2023-001": "postgresql14",
		"ALAS2-2023-2375": "", "ALAS-2023-1700": "", "ALAS2023-2023-377": "", "FEDORA-2024-1": "",
	} {
		t.Run(id, func(t *testing.T) { require.Equal(t, want, extraOf(id)) })
	}
}

func TestReadRepoMD(t *testing.T) {
	const doc = `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><location href="repodata/primary.xml.gz"/></data>
		<data type="updateinfo"><checksum type="sha256"> ABCD </checksum><location href="repodata/updateinfo.xml.gz"/></data></repomd>`
	d, err := readRepoMD(strings.NewReader(doc))
	require.NoError(t, err)
	require.Equal(t, "repodata/updateinfo.xml.gz", d.Location.Href)
	require.Equal(t, "abcd", d.Checksum.Sum)
	for _, bad := range []string{"", "<repomd/>", doc[:len(doc)-9], "<html/>"} {
		_, err := readRepoMD(strings.NewReader(bad))
		require.Error(t, err)
	}
}
