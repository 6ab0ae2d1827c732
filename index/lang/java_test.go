package lang

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/reader/readertest"
)

// entry is the name and content of a file in an archive.
type entry [2]string

func makeZip(t testing.TB, files ...entry) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		o, err := w.Create(f[0])
		require.NoError(t, err)
		_, err = io.WriteString(o, f[1])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

// jarOf makes an archive with this manifest and files of this content.
func jarOf(t testing.TB, manifest string, files ...entry) string {
	t.Helper()
	if manifest != "" {
		files = append([]entry{{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n" + strings.ReplaceAll(manifest, "\n", "\r\n")}}, files...)
	}
	return makeZip(t, append(files, entry{"org/example/Main.class", "x"})...)
}

func TestSplitJarName(t *testing.T) {
	for name, want := range map[string][2]string{
		"a/spring-beans-5.3.17.jar":                                 {"spring-beans", "5.3.17"},
		"spring-beans-5.2.19.RELEASE.jar":                           {"spring-beans", "5.2.19.RELEASE"},
		"kafka_2.13-3.2.2.jar":                                      {"kafka_2.13", "3.2.2"},
		"akka-actor_3-2.8.0.jar":                                    {"akka-actor_3", "2.8.0"},
		"sbt-x_2.12_1.0-0.9.jar":                                    {"sbt-x_2.12_1.0", "0.9"},
		"log4j-1.2-api-2.17.1.jar":                                  {"log4j-1.2-api", "2.17.1"},
		"guava-32.1.2-jre.jar":                                      {"guava", "32.1.2-jre"},
		"x-1.0-SNAPSHOT.jar":                                        {"x", "1.0-SNAPSHOT"},
		"x-2.0.0-beta-3.jar":                                        {"x", "2.0.0-beta-3"},
		"netty-transport-native-epoll-4.1.1.Final-linux-x86_64.jar": {"netty-transport-native-epoll", "4.1.1.Final"},
		"commons-math3-3.6.1-sources.jar":                           {"commons-math3", "3.6.1"},
		"org.eclipse.core.runtime_3.26.0.v2022.jar":                 {"org.eclipse.core.runtime", "3.26.0.v2022"},
		"tomcat7-websocket.jar":                                     {"tomcat7-websocket", ""},
		"catalina.jar":                                              {"catalina", ""},
		"-.jar":                                                     {"-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			artifact, version := splitJarName(name)
			require.Equal(t, want, [2]string{artifact, version})
		})
	}
}

// TestJava_WithoutMavenFiles identifies archives by their names, manifests
// and classes.
func TestJava_WithoutMavenFiles(t *testing.T) {
	boot := func(name, inner string) []entry { return []entry{{"BOOT-INF/lib/" + name, inner}} }
	for _, c := range []struct {
		name, file, jar string
		want            []string
		unmatched       []string
	}{
		{"spring", "spring-beans-5.3.17.jar", jarOf(t, "Automatic-Module-Name: spring.beans\n"), []string{"org.springframework:spring-beans 5.3.17"}, nil},
		{"spring_in_boot", "app.jar", jarOf(t, "Implementation-Title: demo\nImplementation-Version: 0.0.1\n",
			boot("spring-beans-5.3.17.jar", jarOf(t, "Implementation-Title: spring-beans\n"))...), []string{"org.springframework:spring-beans 5.3.17"}, []string{"app 0.0.1"}},
		{"spring_security", "spring-security-web-5.7.1.jar", jarOf(t, ""), []string{"org.springframework.security:spring-security-web 5.7.1"}, nil},
		{"spring_of_one_jar", "spring-2.5.6.jar", jarOf(t, "", entry{"org/springframework/beans/BeanWrapperImpl.class", ""}), []string{"org.springframework:spring 2.5.6", "org.springframework:spring-beans 2.5.6"}, nil},
		{"tomcat_embedded", "tomcat-embed-core-10.1.30.jar", jarOf(t, "Bundle-SymbolicName: org.apache.tomcat-embed-core\nImplementation-Title: Apache Tomcat\n",
			entry{"org/apache/catalina/core/StandardContext.class", ""}), []string{"org.apache.tomcat.embed:tomcat-embed-core 10.1.30"}, nil},
		{"tomcat_of_a_distribution", "lib/catalina.jar", jarOf(t, "Implementation-Title: Apache Tomcat Catalina\nImplementation-Version: 9.0.70\n"), []string{"org.apache.tomcat:tomcat-catalina 9.0.70"}, nil},
		{"jackson_1", "jackson-mapper-asl-1.9.13.jar", jarOf(t, ""), []string{"org.codehaus.jackson:jackson-mapper-asl 1.9.13"}, nil},
		{"log4j_1", "log4j-1.2.17.jar", jarOf(t, ""), []string{"log4j:log4j 1.2.17"}, nil},
		{"log4j_2", "log4j-core-2.14.1.jar", jarOf(t, ""), []string{"org.apache.logging.log4j:log4j-core 2.14.1"}, nil},
		{"netty", "netty-codec-http-4.1.60.Final.jar", jarOf(t, ""), []string{"io.netty:netty-codec-http 4.1.60.Final"}, nil},
		{"commons", "commons-text-1.9.jar", jarOf(t, ""), []string{"org.apache.commons:commons-text 1.9"}, nil},
		{"older_commons", "commons-collections-3.2.1.jar", jarOf(t, ""), []string{"commons-collections:commons-collections 3.2.1"}, nil},
		{"scala", "akka-http-core_2.13-10.2.6.jar", jarOf(t, "Implementation-Title: akka-http-core\nImplementation-Version: 10.2.6\nImplementation-Vendor-Id: com.typesafe.akka\n"),
			[]string{"com.typesafe.akka:akka-http-core_2.13 10.2.6"}, nil},
		{"scala_of_the_table", "kafka_2.13-3.2.2.jar", jarOf(t, "Version: 3.2.2\n"), []string{"org.apache.kafka:kafka_2.13 3.2.2"}, nil},
		{"vendor_id", "thing-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.exam\n ple\n"), []string{"org.example:thing 1.0"}, nil},
		{"bundle", "thing-1.0.jar", jarOf(t, "Bundle-SymbolicName: org.example.thing;singleton:=true\n"), []string{"org.example:thing 1.0"}, nil},
		{"module", "thing-1.0.jar", jarOf(t, "Automatic-Module-Name: org.example.thing\n"), []string{"org.example:thing 1.0"}, nil},
		{"module_that_is_a_guess", "thing-1.0.jar", jarOf(t, "Automatic-Module-Name: org.example.other\n"), []string{"org.example.other:thing 1.0"}, []string{"org.example.other:thing 1.0"}},
		{"unknown_group", "thing-1.0.jar", jarOf(t, "Created-By: me\n"), nil, []string{"thing 1.0"}},
		{"unknown_version", "thing.jar", jarOf(t, "Implementation-Version: ${project.version}\n"), nil, []string{"thing "}},
		{"no_classes", "commons-text-1.9.jar", makeZip(t, entry{"a.txt", "x"}), []string{"org.apache.commons:commons-text 1.9"}, nil},
		{"no_classes_and_unknown", "x-1.0.jar", makeZip(t, entry{"a.txt", "x"}), nil, []string{"x 1.0"}},
		{"no_java", "x.jar", makeZip(t, entry{"a.txt", "x"}), nil, nil},
		{"pom_xml", "thing-1.0.jar", jarOf(t, "", entry{"META-INF/maven/org.example/thing-core/pom.xml", "<project><parent><version>1.0.1</version></parent></project>"}),
			[]string{"org.example:thing-core 1.0.1"}, nil},
		{"pom_properties_without_group", "thing.jar", jarOf(t, "", entry{"META-INF/maven/org.example/thing/pom.properties", "version=1.0\r\n"}), []string{"org.example:thing 1.0"}, nil},
		{"pom_properties_of_another", "spring-core-5.3.17.jar", jarOf(t, "", entry{"META-INF/maven/org.example/in/pom.properties", "groupId=org.example\nartifactId=in\nversion=1.0\n"}),
			[]string{"org.example:in 1.0", "org.springframework:spring-core 5.3.17"}, nil},
		{"shaded_netty", "own-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.example\n", entry{"META-INF/io.netty.versions.properties", "netty-codec-http.version=4.1.60.Final\nnetty-codec-http.shortCommitHash=1\n"},
			entry{"org/example/shaded/io/netty/handler/codec/http/HttpObjectDecoder.class", ""}), []string{"io.netty:netty-codec-http 4.1.60.Final", "org.example:own 1.0"}, nil},
		{"shaded_tomcat", "own-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.example\n", entry{"org/apache/catalina/util/ServerInfo.properties", "server.number=9.0.70.0\n"}),
			[]string{"org.apache.tomcat:tomcat-catalina 9.0.70", "org.example:own 1.0"}, nil},
		{"shaded_jackson_1", "own-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.example\n", entry{"x/org/codehaus/jackson/map/VERSION.txt", "1.9.13\n"}),
			[]string{"org.codehaus.jackson:jackson-mapper-asl 1.9.13", "org.example:own 1.0"}, nil},
		{"shaded_log4j", "own-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.example\n", entry{"shadow/org/apache/logging/log4j/core/lookup/JndiLookup.class", ""}),
			[]string{"org.example:own 1.0"}, []string{"org.apache.logging.log4j:log4j-core "}},
		{"large_manifest", "thing-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.example\n\n"+strings.Repeat("Name: a/b.class\nSHA-256-Digest: x\n\n", 40_000)), []string{"org.example:thing 1.0"}, nil},
		{"manifest_of_one_line", "thing-1.0.jar", jarOf(t, "Implementation-Vendor-Id: org.example\nX: "+strings.Repeat("x", 2<<20)), []string{"org.example:thing 1.0"}, nil},
		{"utf16_manifest", "thing-1.0.jar", jarOf(t, "", entry{"META-INF/MANIFEST.MF", "\xff\xfe" + strings.Join(strings.Split("Implementation-Vendor-Id: org.example\n", ""), "\x00") + "\x00"}),
			[]string{"org.example:thing 1.0"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := &reader.Found{}
			r := javaReader()
			require.NoError(t, r.Run(t.Context(), &reader.File{Path: "opt/" + c.file, Size: int64(len(c.jar)), ReaderAt: strings.NewReader(c.jar)}, out))
			var got, unmatched []string
			for _, p := range out.Packages {
				got = append(got, p.Name+" "+p.Version)
			}
			for _, u := range out.Unmatched {
				unmatched = append(unmatched, u.Package+" "+u.Version)
				require.NotEmpty(t, u.Reason)
			}
			slices.Sort(got)
			require.Equal(t, c.want, got)
			require.Equal(t, c.unmatched, unmatched)
		})
	}
}

func TestJar_Bombs(t *testing.T) {
	jar := makeZip(t, entry{"META-INF/MANIFEST.MF", ""})
	for range maxJarDepth + 1 {
		jar = makeZip(t, entry{"inner.jar", jar})
	}
	long := strings.Repeat("9", 10_000)
	_, err := readertest.Read(t, javaReader(), "thing-1.jar", []byte(jarOf(t, "Implementation-Vendor-Id: "+long+"\n")))
	require.NoError(t, err)
	lies := bytes.Clone([]byte(makeZip(t, entry{"a", ""})))
	end := bytes.LastIndex(lies, []byte("PK\x05\x06"))
	lies[end+10], lies[end+11] = 0xff, 0xff
	for name, b := range map[string]string{"deep": jar, "many": string(lies), "cut": jar[:len(jar)-30], "magic": "PK\x03\x04"} {
		_, err := readertest.Read(t, javaReader(), "x.jar", []byte(b))
		require.ErrorIs(t, err, clair.ErrInvalid, name)
	}
}

// TestJar_LargeInner reads an archive that has one over the limit: what else it
// holds is found.
func TestJar_LargeInner(t *testing.T) {
	jar := makeZip(t, entry{"a.jar", strings.Repeat("\x00", maxNested+1)}, entry{"log4j-1.2.17.jar", jarOf(t, "")})
	out := &reader.Found{}
	r := javaReader()
	require.NoError(t, r.Run(t.Context(), &reader.File{Path: "x.war", Size: int64(len(jar)), ReaderAt: strings.NewReader(jar)}, out))
	require.Len(t, out.Packages, 1)
	require.Equal(t, "a.jar", out.Unmatched[0].Package)

	// One that is stored is read in place, however large it is.
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "log4j-1.2.17.jar", Method: zip.Store})
	require.NoError(t, err)
	_, err = f.Write([]byte(jarOf(t, "", entry{"a", strings.Repeat("x", 100)})))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err := readertest.Read(t, r, "x.war", b.Bytes())
	require.NoError(t, err)
	require.Equal(t, "log4j:log4j", got[0].Name)
}

// TestJar_ManyFiles reads an archive with more files than the older format can
// count.
func TestJar_ManyFiles(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 0x10000 {
		_, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("c/%d.class", i)})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	got, err := readertest.Read(t, javaReader(), "log4j-1.2.17.jar", b.Bytes())
	require.NoError(t, err)
	require.Equal(t, "log4j:log4j", got[0].Name)
	damaged := bytes.Replace(b.Bytes(), []byte("PK\x06\x06"), []byte("PK\x00\x00"), 1)
	_, err = readertest.Read(t, javaReader(), "log4j-1.2.17.jar", damaged)
	require.ErrorIs(t, err, clair.ErrInvalid)
}
