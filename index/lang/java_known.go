package lang

import (
	"strconv"
	"strings"
)

// family is a group of Maven and the archives that are published under it:
// names in full, or with a "*" at the end. Most of them come without Maven's
// own files.
type family struct {
	group string
	names []string
}

// families are well-known groups, of which the first that has a name counts.
// Advisories name packages by these coordinates. Nothing writes to it.
var families = []family{
	{"org.springframework", []string{
		"spring", "spring-aop", "spring-aspects", "spring-beans", "spring-context", "spring-context-support", "spring-context-indexer",
		"spring-core", "spring-core-test", "spring-expression", "spring-instrument", "spring-instrument-tomcat", "spring-jcl",
		"spring-jdbc", "spring-jms", "spring-messaging", "spring-orm", "spring-oxm", "spring-r2dbc", "spring-struts", "spring-test",
		"spring-tx", "spring-web", "spring-webflux", "spring-webmvc", "spring-webmvc-portlet", "spring-websocket",
	}},
	{"org.springframework.boot", []string{"spring-boot", "spring-boot-*"}},
	{"org.springframework.security.oauth", []string{"spring-security-oauth", "spring-security-oauth2"}},
	{"org.springframework.security", []string{"spring-security-*"}},
	{"org.springframework.data", []string{"spring-data-*"}},
	{"org.springframework.cloud", []string{"spring-cloud-*"}},
	{"org.springframework.integration", []string{"spring-integration-*"}},
	{"org.springframework.batch", []string{"spring-batch-*"}},
	{"org.springframework.session", []string{"spring-session-*"}},
	{"org.springframework.kafka", []string{"spring-kafka", "spring-kafka-*"}},
	{"org.springframework.amqp", []string{"spring-amqp", "spring-rabbit", "spring-rabbit-*"}},
	{"org.springframework.ws", []string{"spring-ws-*", "spring-xml"}},
	{"org.springframework.hateoas", []string{"spring-hateoas"}},
	{"org.springframework.retry", []string{"spring-retry"}},
	{"org.springframework.plugin", []string{"spring-plugin-*"}},
	{"org.springframework.ldap", []string{"spring-ldap-*"}},
	{"org.springframework.graphql", []string{"spring-graphql"}},
	{"org.springframework.vault", []string{"spring-vault-core"}},
	{"org.springframework.webflow", []string{"spring-webflow", "spring-js", "spring-binding"}},
	{"org.apache.tomcat.embed", []string{"tomcat-embed-*"}},
	{"org.apache.tomcat", []string{"tomcat-*", "tomcat7-websocket"}},
	{"org.codehaus.jackson", []string{
		"jackson-core-asl", "jackson-core-lgpl", "jackson-mapper-asl", "jackson-mapper-lgpl", "jackson-jaxrs", "jackson-xc", "jackson-mrbean", "jackson-smile",
	}},
	{"com.fasterxml.jackson.core", []string{"jackson-core", "jackson-databind", "jackson-annotations"}},
	{"com.fasterxml.jackson.dataformat", []string{"jackson-dataformat-*"}},
	{"com.fasterxml.jackson.datatype", []string{"jackson-datatype-*"}},
	{"com.fasterxml.jackson.module", []string{"jackson-module-*"}},
	{"com.fasterxml.jackson.jaxrs", []string{"jackson-jaxrs-*"}},
	{"com.fasterxml.woodstox", []string{"woodstox-core"}},
	{"log4j", []string{"log4j"}},
	{"org.apache.logging.log4j", []string{"log4j-*"}},
	{"ch.qos.reload4j", []string{"reload4j"}},
	{"ch.qos.logback", []string{"logback-*"}},
	{"org.slf4j", []string{"slf4j-*", "jcl-over-slf4j", "jul-to-slf4j", "log4j-over-slf4j"}},
	{"io.netty", []string{"netty", "netty-*"}},
	{"org.apache.commons", []string{
		"commons-collections4", "commons-compress", "commons-configuration2", "commons-crypto", "commons-csv", "commons-dbcp2",
		"commons-email", "commons-exec", "commons-fileupload2-*", "commons-imaging", "commons-jexl3", "commons-lang3", "commons-math3",
		"commons-pool2", "commons-text", "commons-vfs2",
	}},
	{"org.apache.struts", []string{"struts2-*", "struts-core", "struts-taglib", "struts-tiles", "struts-extras"}},
	{"org.apache.struts.xwork", []string{"xwork-core"}},
	{"org.apache.shiro", []string{"shiro-*"}},
	{"org.apache.velocity", []string{"velocity", "velocity-engine-*", "velocity-tools"}},
	{"org.apache.httpcomponents", []string{"httpclient", "httpcore", "httpcore-nio", "httpmime", "httpasyncclient", "fluent-hc", "httpclient-cache"}},
	{"org.apache.httpcomponents.client5", []string{"httpclient5", "httpclient5-*"}},
	{"org.apache.httpcomponents.core5", []string{"httpcore5", "httpcore5-*"}},
	{"org.apache.tika", []string{"tika-*"}},
	{"org.apache.poi", []string{"poi", "poi-*"}},
	{"org.apache.pdfbox", []string{"pdfbox", "pdfbox-*", "fontbox", "xmpbox"}},
	{"org.apache.santuario", []string{"xmlsec"}},
	{"org.apache.xmlgraphics", []string{"batik-*", "fop", "xmlgraphics-commons"}},
	{"org.apache.cxf", []string{"cxf-*"}},
	{"org.apache.camel", []string{"camel-*"}},
	{"org.apache.activemq", []string{"activemq-*", "artemis-*"}},
	{"org.apache.kafka", []string{"kafka-*", "kafka_*", "connect-api", "connect-json", "connect-runtime", "connect-transforms"}},
	{"org.apache.zookeeper", []string{"zookeeper", "zookeeper-*"}},
	{"org.apache.hadoop", []string{"hadoop-*"}},
	{"org.apache.hive", []string{"hive-*"}},
	{"org.apache.spark", []string{"spark-*"}},
	{"org.apache.solr", []string{"solr-*"}},
	{"org.apache.lucene", []string{"lucene-*"}},
	{"org.apache.avro", []string{"avro", "avro-*"}},
	{"org.apache.ant", []string{"ant", "ant-*"}},
	{"org.apache.ivy", []string{"ivy"}},
	{"org.apache.derby", []string{"derby", "derby*"}},
	{"org.apache.thrift", []string{"libthrift"}},
	{"org.apache.mina", []string{"mina-*"}},
	{"org.apache.sshd", []string{"sshd-*"}},
	{"org.apache.axis2", []string{"axis2", "axis2-*"}},
	{"axis", []string{"axis"}},
	{"org.eclipse.jetty.http2", []string{"http2-client", "http2-common", "http2-hpack", "http2-server"}},
	{"org.eclipse.jetty", []string{"jetty-*"}},
	{"org.hibernate.validator", []string{"hibernate-validator", "hibernate-validator-*"}},
	{"org.hibernate", []string{"hibernate-core", "hibernate-entitymanager", "hibernate-envers", "hibernate-c3p0", "hibernate-ehcache"}},
	{"io.undertow", []string{"undertow-*"}},
	{"io.vertx", []string{"vertx-*"}},
	{"io.quarkus", []string{"quarkus-*"}},
	{"io.micronaut", []string{"micronaut-*"}},
	{"io.grpc", []string{"grpc-*"}},
	{"io.projectreactor", []string{"reactor-core"}},
	{"io.projectreactor.netty", []string{"reactor-netty", "reactor-netty-*"}},
	{"com.typesafe.akka", []string{"akka-*"}},
	{"com.typesafe.play", []string{"play_*", "play-*"}},
	{"com.google.guava", []string{"guava", "guava-*"}},
	{"com.google.code.gson", []string{"gson"}},
	{"com.google.protobuf", []string{"protobuf-java", "protobuf-java-util", "protobuf-javalite", "protobuf-kotlin"}},
	{"com.google.oauth-client", []string{"google-oauth-client"}},
	{"com.squareup.okhttp3", []string{"okhttp", "okhttp-*"}},
	{"com.squareup.okio", []string{"okio", "okio-*"}},
	{"com.thoughtworks.xstream", []string{"xstream"}},
	{"org.yaml", []string{"snakeyaml"}},
	{"com.h2database", []string{"h2"}},
	{"org.hsqldb", []string{"hsqldb"}},
	{"org.postgresql", []string{"postgresql"}},
	{"mysql", []string{"mysql-connector-java"}},
	{"com.mysql", []string{"mysql-connector-j"}},
	{"org.mariadb.jdbc", []string{"mariadb-java-client"}},
	{"com.microsoft.sqlserver", []string{"mssql-jdbc"}},
	{"org.xerial", []string{"sqlite-jdbc"}},
	{"org.xerial.snappy", []string{"snappy-java"}},
	{"org.bouncycastle", []string{"bcprov-*", "bcpkix-*", "bcutil-*", "bcmail-*", "bcpg-*", "bctls-*"}},
	{"com.nimbusds", []string{"nimbus-jose-jwt", "oauth2-oidc-sdk"}},
	{"io.jsonwebtoken", []string{"jjwt", "jjwt-*"}},
	{"com.auth0", []string{"java-jwt", "jwks-rsa"}},
	{"net.minidev", []string{"json-smart", "accessors-smart"}},
	{"com.jayway.jsonpath", []string{"json-path"}},
	{"org.json", []string{"json"}},
	{"com.alibaba", []string{"fastjson", "druid"}},
	{"com.alibaba.fastjson2", []string{"fastjson2", "fastjson2-*"}},
	{"org.jsoup", []string{"jsoup"}},
	{"org.jdom", []string{"jdom", "jdom2"}},
	{"xalan", []string{"xalan", "serializer"}},
	{"xerces", []string{"xercesImpl"}},
	{"org.mybatis", []string{"mybatis", "mybatis-spring"}},
	{"org.quartz-scheduler", []string{"quartz", "quartz-jobs"}},
	{"com.mchange", []string{"c3p0", "mchange-commons-java"}},
	{"com.zaxxer", []string{"HikariCP"}},
	{"ognl", []string{"ognl"}},
	{"org.freemarker", []string{"freemarker"}},
	{"org.thymeleaf", []string{"thymeleaf", "thymeleaf-spring*"}},
	{"org.owasp.esapi", []string{"esapi"}},
	{"org.owasp.antisamy", []string{"antisamy"}},
	{"org.scala-lang", []string{"scala-library", "scala-reflect", "scala-compiler"}},
	{"org.python", []string{"jython", "jython-*"}},
	{"org.mozilla", []string{"rhino"}},
	{"org.beanshell", []string{"bsh"}},
	{"org.codehaus.plexus", []string{"plexus-*"}},
	{"org.codehaus.jettison", []string{"jettison"}},
	{"org.elasticsearch", []string{"elasticsearch", "elasticsearch-*"}},
	{"org.wildfly.security", []string{"wildfly-elytron"}},
	{"org.keycloak", []string{"keycloak-*"}},
	{"com.hazelcast", []string{"hazelcast", "hazelcast-*"}},
	{"org.infinispan", []string{"infinispan-*"}},
	{"net.sf.ehcache", []string{"ehcache"}},
	{"org.aspectj", []string{"aspectjweaver", "aspectjrt", "aspectjtools"}},
}

// tomcatFiles are archives of Tomcat's own distribution, which have no version
// in their names, and the artifacts that they are published as. Nothing writes
// to it.
var tomcatFiles = map[string]string{
	"catalina": "tomcat-catalina", "catalina-ha": "tomcat-catalina-ha", "catalina-tribes": "tomcat-tribes", "catalina-ant": "tomcat-catalina-ant",
	"catalina-ssi": "tomcat-ssi", "catalina-storeconfig": "tomcat-storeconfig", "coyote": "tomcat-coyote", "jasper": "tomcat-jasper",
	"jasper-el": "tomcat-jasper-el", "servlet-api": "tomcat-servlet-api", "jsp-api": "tomcat-jsp-api", "el-api": "tomcat-el-api",
	"websocket-api": "tomcat-websocket-api", "annotations-api": "tomcat-annotations-api", "jaspic-api": "tomcat-jaspic-api",
	"bootstrap": "tomcat-bootstrap",
}

// sameGroup are archives of the older Apache Commons, whose group is their own
// name. Nothing writes to it.
var sameGroup = map[string]bool{
	"commons-beanutils": true, "commons-cli": true, "commons-codec": true, "commons-collections": true, "commons-configuration": true,
	"commons-dbcp": true, "commons-digester": true, "commons-discovery": true, "commons-el": true, "commons-fileupload": true,
	"commons-httpclient": true, "commons-io": true, "commons-jxpath": true, "commons-lang": true, "commons-logging": true,
	"commons-net": true, "commons-pool": true, "commons-validator": true,
}

// wellKnown returns the coordinates of a well-known archive, "" if it is not
// one.
func wellKnown(artifact, version string, tomcat bool) (group, name string) {
	if tomcat && tomcatFiles[artifact] != "" {
		return "org.apache.tomcat", tomcatFiles[artifact]
	}
	if sameGroup[artifact] {
		return artifact, artifact
	}
	number, _, _ := strings.Cut(version, ".")
	major, _ := strconv.Atoi(number)
	switch {
	case artifact == "dom4j" && major >= 2:
		return "org.dom4j", artifact
	case artifact == "dom4j":
		return "dom4j", artifact
	case artifact == "groovy" || strings.HasPrefix(artifact, "groovy-"):
		if major >= 4 {
			return "org.apache.groovy", artifact
		}
		return "org.codehaus.groovy", artifact
	case artifact == "hibernate-core" && major >= 6:
		return "org.hibernate.orm", artifact
	case artifact == "hibernate-validator" && major > 0 && major < 6:
		return "org.hibernate", artifact
	}
	for _, f := range families {
		for _, n := range f.names {
			prefix, open := strings.CutSuffix(n, "*")
			if artifact == n || open && strings.HasPrefix(artifact, prefix) {
				return f.group, artifact
			}
		}
	}
	return "", ""
}

// markers are classes that only one library has, by the last part of their
// path. An archive with one of them has a copy of the library, even if it
// was moved to another package. Nothing writes to it.
var markers = map[string][2]string{
	"BeanWrapperImpl.class":    {"org/springframework/beans/", "org.springframework:spring-beans"},
	"SpringVersion.class":      {"org/springframework/core/", "org.springframework:spring-core"},
	"DispatcherServlet.class":  {"org/springframework/web/servlet/", "org.springframework:spring-webmvc"},
	"DispatcherHandler.class":  {"org/springframework/web/reactive/", "org.springframework:spring-webflux"},
	"JndiLookup.class":         {"org/apache/logging/log4j/core/lookup/", "org.apache.logging.log4j:log4j-core"},
	"StandardContext.class":    {"org/apache/catalina/core/", "org.apache.tomcat:tomcat-catalina"},
	"InvokerTransformer.class": {"org/apache/commons/collections/functors/", "commons-collections:commons-collections"},
	"StringSubstitutor.class":  {"org/apache/commons/text/", "org.apache.commons:commons-text"},
	"BeanDeserializer.class":   {"com/fasterxml/jackson/databind/deser/", "com.fasterxml.jackson.core:jackson-databind"},
	"HttpObjectDecoder.class":  {"io/netty/handler/codec/http/", "io.netty:netty-codec-http"},
	"SafeConstructor.class":    {"org/yaml/snakeyaml/constructor/", "org.yaml:snakeyaml"},
	"XWorkConverter.class":     {"com/opensymphony/xwork2/conversion/impl/", "org.apache.struts:struts2-core"},
	"CodedInputStream.class":   {"com/google/protobuf/", "com.google.protobuf:protobuf-java"},
	"JMSAppender.class":        {"org/apache/log4j/net/", "log4j:log4j"},
	"ObjectMapper.class":       {"org/codehaus/jackson/map/", "org.codehaus.jackson:jackson-mapper-asl"},
	"XStream.class":            {"com/thoughtworks/xstream/", "com.thoughtworks.xstream:xstream"},
}

// copyOf returns the library of which a class is a marker, "" if it is none.
func copyOf(class string) string {
	dir, base := class[:strings.LastIndexByte(class, '/')+1], class[strings.LastIndexByte(class, '/')+1:]
	m, ok := markers[base]
	if !ok || !strings.HasSuffix(dir, m[0]) {
		return ""
	}
	if before := strings.TrimSuffix(dir, m[0]); before != "" && !strings.HasSuffix(before, "/") {
		return ""
	}
	return m[1]
}

// versionResource returns the function that reads the versions of libraries
// from a file that they bring along, in copies as in the original.
func versionResource(name string) (read func(text []byte) map[string]string, ok bool) {
	switch {
	case name == "META-INF/io.netty.versions.properties":
		return nettyVersions, true
	case strings.HasSuffix(name, "org/apache/catalina/util/ServerInfo.properties"):
		return func(text []byte) map[string]string {
			number := properties(text, "=")["server.number"] // 10.1.30.0
			if parts := strings.Split(number, "."); len(parts) >= 3 {
				return map[string]string{"org.apache.tomcat:tomcat-catalina": strings.Join(parts[:3], ".")}
			}
			return nil
		}, true
	case strings.HasSuffix(name, "org/codehaus/jackson/map/VERSION.txt"), strings.HasSuffix(name, "org/codehaus/jackson/impl/VERSION.txt"):
		artifact := "org.codehaus.jackson:jackson-mapper-asl"
		if strings.Contains(name, "/impl/") {
			artifact = "org.codehaus.jackson:jackson-core-asl"
		}
		return func(text []byte) map[string]string {
			line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
			if line = usable(strings.TrimSpace(line)); line == "" {
				return nil
			}
			return map[string]string{artifact: line}
		}, true
	}
	return nil, false
}

// nettyVersions reads lines such as netty-codec-http.version=4.1.100.Final.
func nettyVersions(text []byte) map[string]string {
	out := map[string]string{}
	for key, v := range properties(text, "=") {
		if artifact, ok := strings.CutSuffix(key, ".version"); ok && strings.HasPrefix(artifact, "netty") {
			out["io.netty:"+artifact] = v
		}
	}
	return out
}
