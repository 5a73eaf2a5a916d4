# Source this file in csh or tcsh, or call `deactivate`: takes back what bin/activate.csh did.

if ( $?_HOLDALL_PREFIX ) then
    if ( -d "$_HOLDALL_PREFIX/etc/conda/deactivate.d" ) then
        set _holdall_nonomatch = $?nonomatch
        set nonomatch
        set _holdall_hooks = ( )
        foreach _holdall_hook ( "$_HOLDALL_PREFIX"/etc/conda/deactivate.d/*.csh )
            set _holdall_hooks = ( "$_holdall_hook" $_holdall_hooks:q )
        end
        foreach _holdall_hook ( $_holdall_hooks:q )
            if ( -r "$_holdall_hook" ) source "$_holdall_hook"
        end
        if ( ! $_holdall_nonomatch ) unset nonomatch
        unset _holdall_nonomatch _holdall_hook _holdall_hooks
    endif
    # Only this environment's folder leaves PATH: it may have changed otherwise.
    set _holdall_path = ( )
    foreach _holdall_folder ( $path:q )
        if ( "$_holdall_folder" != "$_HOLDALL_PREFIX/bin" ) set _holdall_path = ( $_holdall_path:q "$_holdall_folder" )
    end
    set path = ( $_holdall_path:q )
    unset _holdall_path _holdall_folder
    if ( $?_HOLDALL_OLD_VARIABLE ) then
        setenv @VARIABLE@ "$_HOLDALL_OLD_VARIABLE"
        unset _HOLDALL_OLD_VARIABLE
    else
        unsetenv @VARIABLE@
    endif
    if ( $?_HOLDALL_OLD_PYTHONHOME ) then
        setenv PYTHONHOME "$_HOLDALL_OLD_PYTHONHOME"
        unset _HOLDALL_OLD_PYTHONHOME
    endif
    if ( $?_HOLDALL_OLD_PROMPT ) then
        set prompt = "$_HOLDALL_OLD_PROMPT:q"
        unset _HOLDALL_OLD_PROMPT
    endif
    unset _HOLDALL_PREFIX
    rehash
endif
unalias deactivate
