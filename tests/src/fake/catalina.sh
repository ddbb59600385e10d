#!/bin/sh
# Stands in for Tomcat's script of the same name, as far as a supervisor can tell: same variables,
# same verbs, same exit codes, and a process with the same command line.
[ -n "$CATALINA_HOME" ] || CATALINA_HOME=$(cd "$(dirname "$0")/.." && pwd)
[ -n "$CATALINA_BASE" ] || CATALINA_BASE=$CATALINA_HOME
[ -r "$CATALINA_BASE/bin/setenv.sh" ] && . "$CATALINA_BASE/bin/setenv.sh"
out=${CATALINA_OUT:-$CATALINA_BASE/logs/catalina.out}
umask "${UMASK:-0027}"

become_tomcat() {
    # Options are several words, as in the real script.
    # shellcheck disable=SC2086
    exec "$CATALINA_HOME/bin/java" $JAVA_OPTS $CATALINA_OPTS \
        "-Dcatalina.base=$CATALINA_BASE" "-Dcatalina.home=$CATALINA_HOME" \
        "-Djava.io.tmpdir=${CATALINA_TMPDIR:-$CATALINA_BASE/temp}" \
        org.apache.catalina.startup.Bootstrap start
}

pid_in_file() {
    [ -n "$CATALINA_PID" ] && [ -s "$CATALINA_PID" ] && cat "$CATALINA_PID"
}

alive() {
    kill -0 "$1" 2>/dev/null
}

case "$1" in
run)
    become_tomcat
    ;;
start)
    pid=$(pid_in_file)
    if [ -n "$pid" ] && alive "$pid"; then
        echo "Tomcat appears to still be running with PID $pid. Start aborted."
        exit 1
    fi
    (become_tomcat) >>"$out" 2>&1 &
    [ -n "$CATALINA_PID" ] && echo $! >"$CATALINA_PID"
    echo "Tomcat started."
    ;;
stop)
    [ -n "$CATALINA_PID" ] || { echo "SEVERE: No shutdown port configured."; exit 0; }
    pid=$(pid_in_file)
    if [ -z "$pid" ] || ! alive "$pid"; then
        echo "PID file found but no matching process was found. Stop aborted."
        exit 1
    fi
    kill -15 "$pid"
    for _ in 1 2 3 4 5; do
        alive "$pid" || { rm -f "$CATALINA_PID"; echo "Tomcat stopped."; exit 0; }
        sleep 1
    done
    echo "Tomcat did not stop in time."
    ;;
version)
    echo "Server version: Apache Tomcat/10.1.60 (fake)"
    echo "Server number:  10.1.60.0"
    ;;
configtest) ;;
*)
    echo "Usage: catalina.sh ( run | start | stop | version | configtest )"
    exit 1
    ;;
esac
