# Ends the servers of one deployment and removes its folder when standard input closes.
# Arguments: the folder of the deployment, the folder for logs that are kept.
# Each line of standard input is `watch PID`, `forget PID` or `keep`.
trap '' HUP INT TERM
folder=$1 logs=$2 keep='' pids=''
while read -r verb pid; do
    case $verb in
    watch) pids="$pids $pid" ;;
    forget)
        others=''
        for each in $pids; do
            [ "$each" = "$pid" ] || others="$others $each"
        done
        pids=$others
        ;;
    keep) keep=yes ;;
    esac
done
for pid in $pids; do
    kill -KILL "$pid" 2>/dev/null
done
if [ -n "$keep" ] && mkdir -p "$logs"; then
    for log in "$folder"/*.log; do
        [ -s "$log" ] && mv "$log" "$logs"
    done
fi
# A killed server may write for another moment, and makes the removal fail until it is gone.
tries=200
until rm -rf "$folder" 2>/dev/null || [ $tries -eq 0 ]; do
    tries=$((tries - 1))
    sleep 0.05
done
